"""Runs Gymnasium's and Stable-Baselines3's own tests with CartPole replaced by our environments.

    python tests/compatibility/run.py

fetches both projects' tests at the installed versions from GitHub into a temporary folder, runs
them with CartPole itself and then with each environment in its place, and lists the tests that pass
with CartPole only. Those of `CARTPOLES_OWN` check an attribute that only CartPole has; any other
one fails the run. A folder that was fetched before is given by
`--gymnasium` or `--stable-baselines3`. It takes about half an hour on two cores.
"""

import argparse
import os
import shutil
import subprocess
import sys
import tempfile
from importlib.metadata import version
from pathlib import Path
from typing import NamedTuple
from xml.etree import ElementTree

ROOT = Path(__file__).parents[2]
REPLACEMENT = Path(__file__).with_name("replacement.py")


class Project(NamedTuple):
    """A project whose tests are run."""

    package: str
    address: str
    suites: tuple[str, ...]
    variants: tuple[dict[str, str], ...]


NAMES = tuple({"COMPATIBILITY_ENV": name} for name in ("Messaging", "Pacing"))
PROJECTS = (
    Project(
        "gymnasium",
        "https://github.com/Farama-Foundation/Gymnasium",
        (
            "vector",
            "wrappers",
            "envs/registration",
            "envs/test_envs.py",
            "envs/test_env_implementation.py",
            "envs/test_rendering.py",
            "test_core.py",
            "utils/test_env_checker.py",
            "utils/test_performance.py",
            "utils/test_play.py",
            "utils/test_save_video.py",
        ),
        NAMES,
    ),
    Project(
        "stable-baselines3",
        "https://github.com/DLR-RM/stable-baselines3",
        (
            "test_callbacks.py",
            "test_env_checker.py",
            "test_envs.py",
            "test_monitor.py",
            "test_predict.py",
            "test_run.py",
            "test_save_load.py",
            "test_utils.py",
            "test_vec_envs.py",
            "test_vec_monitor.py",
            "test_vec_normalize.py",
        ),
        (*NAMES, *(name | {"COMPATIBILITY_ADAPTER": "SB3VecEnv"} for name in NAMES)),
    ),
)

_ARGUMENT = "the argument sutton_barto_reward"
_GRAVITY = "the attribute gravity"
_SHAPE = "observations of four numbers"
#: Tests that check an attribute of CartPole's own, by the beginning of their names.
CARTPOLES_OWN = {
    "tests.envs.registration.test_make.test_make_with_render_mode": "its list of render modes",
    "tests.envs.registration.test_make_vec.test_make_vec_with_spec[CartPole-v1-kwargs8]": _ARGUMENT,
    "tests.envs.registration.test_make_vec.test_make_vec_with_spec[CartPole-v1-kwargs9]": _ARGUMENT,
    "tests.envs.registration.test_make_vec.test_make_vec_with_spec[env_id18-kwargs18]": _ARGUMENT,
    "tests.envs.registration.test_make_vec.test_make_vec_with_spec[env_id19-kwargs19]": _ARGUMENT,
    "tests.test_core.test_get_set_wrapper_attr": _GRAVITY,
    "tests.test_vec_normalize.test_get_original": "a reward of 1 in every step",
    "tests.test_vec_normalize.test_normalize_external": "returns above 1 in every episode",
    "tests.vector.test_async_vector_env.test_reset_async_vector_env": "an empty info",
    "tests.vector.test_vector_wrapper.test_vector_env_wrapper_attributes": _GRAVITY,
    "tests.wrappers.test_clip_reward.test_clip_reward_wrapper": "a reward of 1 in every step",
    "tests.wrappers.test_frame_stack_observation.test_padding_type": _SHAPE,
    "tests.wrappers.vector.test_vector_wrappers.test_vector_wrapper_equivalence"
    "[CartPole-v1-RescaleObservation": _SHAPE,
    "tests.wrappers.vector.test_vectorize_transform.test_vectorize_dict_to_box_obs": _SHAPE,
}


def fetch(project: Project, given: Path | None, folder: Path) -> Path:
    """Return a copy of a project's folder `tests` at the installed version."""
    target = folder / project.package
    if given is None:
        tag = f"v{version(project.package)}"
        checkout = folder / f"{project.package}-{tag}"
        command = ["git", "clone", "--quiet", "--depth", "1", "--branch", tag, project.address]
        subprocess.run([*command, str(checkout)], check=True)
        given = checkout
    shutil.copytree(given / "tests", target / "tests")
    return target


def outcomes(
    project: Project, tests: Path, variant: dict[str, str], chosen: str, workers: int
) -> dict[str, str]:
    """Run the suites; return "passed", "skipped" or the first line of the error, by test."""
    report = tests / "report.xml"
    report.unlink(missing_ok=True)
    (tests / "sitecustomize.py").write_text(REPLACEMENT.read_text() if variant else "")
    environment = os.environ | variant
    environment["PYTHONPATH"] = os.pathsep.join(
        [str(tests), str(ROOT), os.environ.get("PYTHONPATH", "")]
    )
    environment |= {"SDL_VIDEODRIVER": "dummy", "OMP_NUM_THREADS": "1"}
    suites = [f"tests/{suite}" for suite in project.suites]
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-n", str(workers)]
    command += ["-c", os.devnull, f"--rootdir={tests}", f"--junitxml={report}", *suites]
    command += ["-k", chosen] if chosen else []
    subprocess.run(command, cwd=tests, env=environment, stdout=subprocess.DEVNULL, check=False)
    results = {}
    for case in ElementTree.parse(report).iter("testcase"):
        test, result = f"{case.get('classname')}.{case.get('name')}", "passed"
        for child in case:
            if child.tag in ("failure", "error"):
                result = (child.get("message") or child.tag).strip().split("\n")[0][:160]
            elif child.tag == "skipped":
                result = "skipped"
        results[test] = result
    return results


def compare(expected: dict[str, str], found: dict[str, str]) -> tuple[list[str], list[str]]:
    """Return a line for each test that passes with CartPole only: known ones and failures."""
    known, failures = [], []
    for test, before in expected.items():
        result = found.get(test, "not run")
        if before == "passed" and result not in ("passed", "skipped"):
            own = [what for start, what in CARTPOLES_OWN.items() if test.startswith(start)]
            lines = known if own else failures
            lines.append(f"  {test}: {f'CartPole has {own[0]}' if own else result}")
    return known, failures


def main() -> int:
    """Run everything; return the exit status."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    for project in PROJECTS:
        parser.add_argument(f"--{project.package}", type=Path, help="a checkout with its tests")
    parser.add_argument("--only", choices=[p.package for p in PROJECTS], help="one project")
    parser.add_argument("-k", default="", help="tests to run, as pytest's -k")
    parser.add_argument("-n", type=int, default=2, help="processes")
    options = vars(parser.parse_args())
    wrong = []
    with tempfile.TemporaryDirectory() as folder:
        for project in PROJECTS:
            if options["only"] not in (None, project.package):
                continue
            tests = fetch(project, options[project.package.replace("-", "_")], Path(folder))
            expected = outcomes(project, tests, {}, options["k"], options["n"])
            count = sum(result == "passed" for result in expected.values())
            print(f"{project.package}: {count} tests pass with CartPole")
            for variant in project.variants:
                found = outcomes(project, tests, variant, options["k"], options["n"])
                known, failures = compare(expected, found)
                count = sum(result == "passed" for result in found.values())
                print(
                    f"{project.package} with {' '.join(variant.values())}: {count} pass,"
                    f" {len(known)} check what only CartPole has, {len(failures)} fail"
                )
                print("\n".join(known + failures), flush=True)
                wrong += failures
    return 1 if wrong else 0


if __name__ == "__main__":
    raise SystemExit(main())
