"""What commands print and write at their end."""

import json
import sys
from collections.abc import Collection
from pathlib import Path

from slowfast_rl.evaluation.leaderboard import Leaderboard
from slowfast_rl.evaluation.tables import markdown, terminal
from slowfast_rl.store.files import write_text_atomically


def say(text: str) -> None:
    """Print progress to stderr; results go to stdout."""
    print(text, file=sys.stderr, flush=True)


def write_leaderboard(
    board: Leaderboard, folder: Path, steps: int | None = None, curved: Collection[str] = ()
) -> None:
    """Write curves, Markdown and, last, ``leaderboard.json``; print the table.

    Args:
        board: the leaderboard.
        folder: of the run.
        steps: training steps behind it, where there was training.
        curved: agents whose evaluations in training were written already.
    """
    from slowfast_rl.evaluation.curves import write_curves  # imports torch; --help does without it

    write_curves(board, folder / "tensorboard", steps, curved)
    write_text_atomically(folder / "leaderboard.md", markdown(board))
    write_text_atomically(folder / "leaderboard.json", json.dumps(board.to_json(), indent=1))
    print(terminal(board))
    print(f"All results  {folder}")
    print(f"Curves       tensorboard --logdir {folder / 'tensorboard'}")
