import fcntl
import os
import pty
import re
import struct
import subprocess
import sys
import termios

import pytest

from tests.waiting import HANG_SECONDS

RESULTS = "return 123.45, gap closed -0.25"
BARS = f"""
from slowfast_rl.evaluation.progress import progress_bar

for total in (1.2e9, None):
    with progress_bar(total, "learning", " opportunities", unit_scale=True) as bar:
        bar.start_t -= 40 * 3600  # seconds, of the longest training that is worth watching
        bar.update(4e8)
        bar.set_postfix_str({RESULTS!r})
"""


def drawn(columns: int) -> list[str]:
    """The lines that the bars draw in a terminal of this width."""
    ours, theirs = pty.openpty()
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 24, columns, 0, 0))
    with subprocess.Popen(
        [sys.executable, "-c", BARS], stdout=subprocess.DEVNULL, stderr=theirs
    ) as process:
        os.close(theirs)
        text = b""
        while True:
            try:
                found = os.read(ours, 4096)
            except OSError:  # the other side is closed
                break
            if not found:
                break
            text += found
        assert process.wait(HANG_SECONDS) == 0, text.decode()
    os.close(ours)
    lines = text.decode().replace("\x1b[A", "").replace("\n", "\r").split("\r")
    return [line.rstrip() for line in lines if line.strip()]


@pytest.mark.parametrize("columns", [80, 100])
def test_a_bar_shows_share_time_left_and_results_in_a_terminal_of_usual_width(columns):
    lines = drawn(columns)
    assert max(map(len, lines)) <= columns
    whole = rf"learning:  33%\|.+\| 400M/1.20G, 8\d:\d\d:\d\d left, {re.escape(RESULTS)}"
    assert any(re.fullmatch(whole, line) for line in lines), lines


def test_a_bar_of_unknown_length_shows_a_count_the_time_and_results():
    whole = rf"learning: 400M opportunities, 4\d:\d\d:\d\d, {re.escape(RESULTS)}"
    assert any(re.fullmatch(whole, line) for line in drawn(80))
