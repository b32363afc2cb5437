"""``python -m slowfast_rl.cli.references``: compute reference returns and keep them."""

from pathlib import Path

from omegaconf import DictConfig

from slowfast_rl.cli.app import protocol_of, run, world_of
from slowfast_rl.evaluation.references import (
    REFERENCES_FOLDER,
    compute_references,
    load_references,
    save_references,
)
from slowfast_rl.members.loading import load_world


def references(config: DictConfig) -> None:
    """Compute the references of one case, or of the default cases, unless they are there."""
    protocol = protocol_of(config)
    folder = REFERENCES_FOLDER if config.folder is None else Path(config.folder)
    worlds = [load_world(w) for w in config.worlds] if config.worlds else [world_of(config)]
    for world in worlds:
        found = None if config.again else load_references(world, protocol, (folder,))
        if found is None:
            found = compute_references(world, protocol, config.workers)
            print(f"wrote {save_references(found, folder)}")
        print(
            f"{world.name}: best fixed plan {found.best_fixed_plan}, return "
            f"{found.best_fixed.mean():.2f}; oracle {found.oracle.mean():.2f}, "
            f"gap {100 * found.gap:.1f} %"
        )


def main() -> None:
    """Run the command."""
    run("references", references)


if __name__ == "__main__":
    main()
