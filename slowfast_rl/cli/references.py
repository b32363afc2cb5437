"""python -m slowfast_rl.cli.references: compute the returns with which agents are compared.

  python -m slowfast_rl.cli.references worlds=[pronounced,calibrated]
  python -m slowfast_rl.cli.references world=two_type weeks=52
  python -m slowfast_rl.cli.references world_file=mine.yaml evaluation.references=here

Finds the best fixed plan, and the best plan of each member (the oracle's), by simulating every
plan; this takes minutes to an hour. The references are written to the library's own folder, where
slowfast-train and slowfast-compare find them, or to the folder that evaluation.references names;
give the same evaluation.references to the other commands then. slowfast-train and slowfast-compare
compute missing references themselves with references=compute.
"""

import shlex
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from hydra.core.hydra_config import HydraConfig
from hydra.core.override_parser.overrides_parser import OverridesParser

from slowfast_rl.cli.app import check_writable, run
from slowfast_rl.cli.compose import CONFIG_DIR
from slowfast_rl.cli.schema import limited, read
from slowfast_rl.cli.settings import EvaluatedSettings
from slowfast_rl.evaluation.protocol import EvaluationProtocol
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
    workers: int = limited(low=1)
    again: bool


class ComputeReferences:
    """Computes the references of one case, or of several worlds, unless they exist already.

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
        """Run the command; the run's folder holds only the configuration."""
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
                f"gap {found.lead_text}"
            )


def references_command(settings: EvaluatedSettings) -> str:
    """Return the shell command that computes the references of a case."""
    config, default = HydraConfig.get(), EvaluationProtocol()
    overrides = [f"world={settings.world_name}"]
    for override in OverridesParser.create().parse_overrides(list(config.overrides.task)):
        if override.key_or_group.startswith(("world.", "world_", "evaluation.references")):
            overrides.append(str(override.input_line))
    for name, value in asdict(settings.make_protocol()).items():
        if value != getattr(default, name):
            shown = str(list(value)).replace(" ", "") if isinstance(value, tuple) else value
            where = "evaluation." if name in ("burn_in", "streams") else ""
            overrides.append(f"{where}{name}={shown}")
    flags = [
        f"--config-dir={source.path}"
        for source in config.runtime.config_sources
        if source.provider == CONFIG_DIR
    ]
    return shlex.join(["python", "-m", "slowfast_rl.cli.references", *flags, *overrides])


def main() -> None:
    """Run the command."""
    run("references", ComputeReferences, __doc__ or "")


if __name__ == "__main__":
    main()
