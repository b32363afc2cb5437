"""Make the pictures of the documentation: TensorBoard, the report and the site, in a browser.

    python docs/screenshots.py [--only tensorboard report site]

Trains what is missing into runs/docs (about ten minutes; `--only site` needs no training), then
opens every page in headless Chromium and writes docs/figures/. Needs `pip install selenium`,
chromium and its driver.
"""

import argparse
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from selenium import webdriver

ROOT = Path(__file__).parents[1]
FIGURES, RUNS = ROOT / "docs" / "figures", ROOT / "runs" / "docs"
COMPARED = ("slowfast", "ppo", "utility", "threshold")  # and two references: six in all
SWEEP = (
    "experiment=ppo", "total_opportunities=3000000", "slow.num_envs=512", "num_members=256",
    "weeks=26", "seed=0,1,2", "slow.learning_rate=1e-4,3e-4,1e-3,3e-3",
)  # fmt: skip
SECONDS = 8.0  # that a page gets to draw
WIDTH, HEIGHT = 1500, 1000


def train() -> None:
    """Run the commands whose results are shown, except those that ran already."""
    for experiment in COMPARED:
        run("train", RUNS / experiment, f"experiment={experiment}")
    checkpoints = ",".join(str(RUNS / experiment) for experiment in COMPARED)
    run(
        "compare", RUNS / "comparison", f"checkpoints=[{checkpoints}]", "controls=false",
        "agents=[best_fixed,oracle]",
    )  # fmt: skip
    run("train", RUNS / "sweep", "-m", *SWEEP, kind="sweep")


def run(command: str, folder: Path, *arguments: str, kind: str = "run") -> None:
    """Run a command into a folder, unless its results are there."""
    done = "sweep.json" if kind == "sweep" else "leaderboard.json"
    if (folder / done).exists():
        return
    shutil.rmtree(folder, ignore_errors=True)
    module = f"slowfast_rl.cli.{command}"
    subprocess.run(
        [sys.executable, "-m", module, *arguments, f"hydra.{kind}.dir={folder}"], check=True
    )


def tensorboard(browser: webdriver.Chrome) -> None:
    """Take TensorBoard's pages of one run, of a comparison of six and of a sweep of twelve."""
    for name, folder in (("one", "slowfast"), ("six", "comparison"), ("twelve", "sweep")):
        with served(RUNS / folder / "tensorboard") as address:
            for tab in ("timeseries", "custom_scalars") + (("hparams",) if name != "six" else ()):
                browser.get("about:blank")
                take(browser, f"{address}/#{tab}", f"tensorboard_{name}_{tab}")


def report(browser: webdriver.Chrome) -> None:
    """Take the first screen of a comparison's report, and copy its main figure."""
    take(browser, (RUNS / "comparison" / "report.html").as_uri(), "report")
    shutil.copy(RUNS / "comparison" / "figures" / "long_term.png", FIGURES / "long_term.png")


def site(browser: webdriver.Chrome) -> None:
    """Take the first page of the site, which `make docs` built."""
    page = ROOT / "site" / "index.html"
    if not page.is_file():
        raise FileNotFoundError(f"{page} is missing; build it with make docs")
    take(browser, page.as_uri(), "site")


@contextmanager
def served(folder: Path) -> Iterator[str]:
    """Serve a log directory by TensorBoard, and yield its address.

    Raises:
        RuntimeError: TensorBoard ended, or did not answer in a minute.
    """
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    command = ["-m", "tensorboard.main", "--logdir", folder.name, "--port", str(port)]
    process = subprocess.Popen(
        [sys.executable, *command, "--host", "127.0.0.1", "--load_fast", "false"],
        cwd=folder.parent, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
    )  # fmt: skip
    try:
        for _ in range(300):
            with socket.socket() as probe:
                if probe.connect_ex(("127.0.0.1", port)) == 0:
                    break
            if process.poll() is not None:
                raise RuntimeError(f"TensorBoard ended with exit code {process.returncode}")
            time.sleep(0.2)
        else:
            raise RuntimeError("TensorBoard did not answer within a minute")
        time.sleep(SECONDS)  # it reads the events
        yield f"http://127.0.0.1:{port}"
    finally:
        process.terminate()
        process.wait()


def take(browser: webdriver.Chrome, address: str, name: str) -> None:
    """Open a page, let it draw, and save what is seen without scrolling."""
    browser.get(address)
    time.sleep(SECONDS)
    FIGURES.mkdir(exist_ok=True)
    browser.save_screenshot(str(FIGURES / f"{name}.png"))


def main() -> None:
    """Train what is missing, and take the pictures."""
    pages = {"tensorboard": tensorboard, "report": report, "site": site}
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--only", nargs="+", choices=[*pages], default=[*pages])
    chosen = parser.parse_args().only
    if chosen != ["site"]:
        train()
    options = webdriver.ChromeOptions()
    for argument in ("--headless=new", "--no-sandbox", "--hide-scrollbars"):
        options.add_argument(argument)
    options.add_argument(f"--window-size={WIDTH},{HEIGHT}")
    driver = shutil.which("chromedriver")
    with webdriver.Chrome(options, webdriver.ChromeService(driver)) as browser:
        for name in chosen:
            pages[name](browser)


if __name__ == "__main__":
    main()
