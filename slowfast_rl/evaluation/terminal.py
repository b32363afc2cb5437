"""Output streams of a command, whatever the terminal is."""

import os
import sys
from io import TextIOWrapper
from pathlib import Path


def prepare_streams() -> None:
    """Let printing never fail: not because a stream is closed, nor because of its encoding.

    Python has None for a stream that was closed before it started. A character that the encoding
    does not have is printed as "?".
    """
    for name in ("stdout", "stderr"):
        stream = getattr(sys, name)
        if stream is None:
            nowhere = Path(os.devnull).open("w", encoding="utf-8")  # noqa: SIM115  # to the end
            setattr(sys, name, nowhere)
        elif isinstance(stream, TextIOWrapper):
            stream.reconfigure(errors="replace")
