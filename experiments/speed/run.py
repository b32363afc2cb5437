"""Measure the speed on this machine and write the table of this folder's README.

python experiments/speed/run.py
"""

import subprocess
import sys
import tempfile
from pathlib import Path

from slowfast_rl.store.files import write_block, write_text_atomically

FOLDER = Path(__file__).parent


def main() -> None:
    """Run the benchmark as a user would, keep its rows and its table."""
    with tempfile.TemporaryDirectory() as place:
        run = Path(place) / "bench"
        command = [sys.executable, "-m", "slowfast_rl.cli.bench", "suite=env"]
        subprocess.run([*command, f"hydra.run.dir={run}"], check=True)
        table = (run / "bench.txt").read_text().rstrip()
        write_text_atomically(FOLDER / "bench.json", (run / "bench.json").read_text())
    write_block(FOLDER / "README.md", "speed", f"```\n{table}\n```")


if __name__ == "__main__":
    main()
