"""``slowfast-compare``: any agents on the same members and luck."""

from pathlib import Path

from hydra.core.hydra_config import HydraConfig
from omegaconf import DictConfig, OmegaConf

from slowfast_rl.agents import SlowFastAgent
from slowfast_rl.cli.app import protocol_of, run, world_of
from slowfast_rl.cli.schema import build
from slowfast_rl.cli.train import write_leaderboard
from slowfast_rl.evaluation.leaderboard import (
    NAMES,
    Contestant,
    compare,
    slowfast_contestants,
)
from slowfast_rl.store.files import write_text_atomically


def compare_agents(config: DictConfig) -> None:
    """Compare trained runs and baselines; the first is compared with all others."""
    folder = Path(HydraConfig.get().runtime.output_dir)
    world, protocol = world_of(config), protocol_of(config)
    contestants: list[Contestant | str] = []
    for position, checkpoint in enumerate(config.checkpoints):
        agent = SlowFastAgent.load(checkpoint_file(Path(checkpoint)))
        if agent.world != world:
            raise ValueError(
                f"{checkpoint} was trained in another world ({agent.world and agent.world.name}) than "
                f"{world.name}; allowed is the same world"
            )
        if position:
            agent.name = f"{agent.name}_{position + 1}"
        contestants += slowfast_contestants(agent, world)[: 2 if config.controls else 1]
    for name in config.agents:
        if name not in NAMES:
            raise ValueError(f"unknown agent {name!r}; allowed: {', '.join(NAMES)}")
        contestants.append(name)
    if not contestants:
        raise ValueError("agents and checkpoints are empty; name at least one")
    write_text_atomically(folder / "config.yaml", OmegaConf.to_yaml(config, resolve=True))
    board = compare(
        contestants, world, protocol, store_factory=lambda: build(config.store, "store")
    )
    write_leaderboard(board, folder)
    print(f"Everything is in {folder}")


def checkpoint_file(path: Path) -> Path:
    """Return the agent of a run directory, or the path itself if it is an agent.

    Raises:
        ValueError: there is none.
    """
    if (path / "agent.json").is_file() or path.suffix == ".zip":
        return path
    for name in ("final.zip", "latest.zip"):
        if (path / "checkpoints" / name).is_file():
            return path / "checkpoints" / name
    raise ValueError(f"{path} holds no agent; a run directory or an agent's zip is needed")


def main() -> None:
    """Run the command."""
    run("compare", compare_agents)


if __name__ == "__main__":
    main()
