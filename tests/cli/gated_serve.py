"""slowfast-serve that waits for leave, not for the time: before each moment it asks at a gate.

Called with the gates' folder before the command's own arguments. File ``at`` says how many gates
it came to, ``open`` how many it may pass.
"""

import os
import sys
import time
from pathlib import Path
from types import SimpleNamespace

from slowfast_rl.cli import serve
from slowfast_rl.store.files import write_text_atomically

folder, parent, gates = Path(sys.argv.pop(1)), os.getppid(), 0


def ask(_: float) -> None:
    global gates
    gates += 1
    write_text_atomically(folder / "at", str(gates))
    while int((folder / "open").read_text()) < gates:
        if os.getppid() != parent:
            sys.exit("nobody is left to open the gate")
        time.sleep(0.002)


if __name__ == "__main__":
    serve.time = SimpleNamespace(monotonic=time.monotonic, sleep=ask)
    serve.main()
