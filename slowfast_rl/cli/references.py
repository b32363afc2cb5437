"""python -m slowfast_rl.cli.references: compute the returns that agents are measured against.

  python -m slowfast_rl.cli.references worlds=[pronounced,calibrated]
  python -m slowfast_rl.cli.references world=two_type weeks=52
  python -m slowfast_rl.cli.references world_file=mine.yaml evaluation.references=here

The best fixed plan and the oracle's plan per member, by living every plan; minutes to an hour.
Kept in the library's own folder, where train and compare find them, or in the one that
evaluation.references names, for train and compare too.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from slowfast_rl.cli.app import check_writable, run
from slowfast_rl.cli.schema import read
from slowfast_rl.cli.settings import EvaluatedSettings
from slowfast_rl.evaluation.references import (
    compute_references,
    load_references,
    save_references,
)
from slowfast_rl.members.loading import load_world


@dataclass(frozen=True, kw_only=True)
class ReferenceSettings(EvaluatedSettings):
    """Settings of the command, as in ``configs/references.yaml``."""

    worlds: tuple[str | None, ...]
    workers: int
    again: bool

    def __post_init__(self) -> None:
        """Raise ValueError for a value outside what is allowed."""
        super().__post_init__()
        if self.workers < 1:
            raise ValueError(f"workers is {self.workers}; allowed is 1 or more")


class ComputeReferences:
    """Computes the references of one case, or of several worlds, unless they are there.

    Raises:
        ValueError: a setting is missing, unknown, of the wrong type or outside what is allowed.
    """

    def __init__(self, settings: Mapping[str, Any]) -> None:
        s = self.settings = read(ReferenceSettings, settings)
        self.protocol = s.make_protocol()
        named = [load_world("null" if name is None else name) for name in s.worlds]
        self.worlds = named or [s.make_world()]
        check_writable(s.reference_folders()[0], "references folder")

    def run(self, folder: Path) -> None:
        """Do it; the run's folder keeps only the configuration."""
        s = self.settings
        folders = s.reference_folders()
        for world in self.worlds:
            found = None if s.again else load_references(world, self.protocol, folders[:1])
            if found is None:
                found = compute_references(world, self.protocol, s.workers)
                print(f"wrote {save_references(found, folders[0])}")
            shape = f", shape {found.best_fixed_shape}" if world.shapes else ""
            print(
                f"{world.name}: best fixed plan {found.best_fixed_plan}{shape}, return "
                f"{found.best_fixed.mean():.2f}; oracle {found.oracle.mean():.2f}, "
                f"gap {100 * found.gap:.1f} %"
            )


def main() -> None:
    """Run the command."""
    run("references", ComputeReferences, __doc__ or "")


if __name__ == "__main__":
    main()
