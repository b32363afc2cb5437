"""The types of the settings that commands share; YAML files hold their values and meanings."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from slowfast_rl.cli.app import check_writable
from slowfast_rl.cli.results import say
from slowfast_rl.cli.schema import limited
from slowfast_rl.evaluation.protocol import EvaluationProtocol
from slowfast_rl.evaluation.references import (
    REFERENCES_FOLDER,
    References,
    compute_references,
    load_references,
    save_references,
)
from slowfast_rl.members.loading import load_world, world_from_tree
from slowfast_rl.members.random import LARGEST_SEED
from slowfast_rl.members.world import World
from slowfast_rl.policies.settings import check_device

REFERENCES = ("stored", "compute")


@dataclass(frozen=True, kw_only=True)
class Settings:
    """Settings of every command, as in ``configs/base.yaml``."""

    world: dict[str, Any]
    world_name: str
    world_file: str | None
    world_overrides: dict[str, Any] | None
    num_members: int = limited(low=1, high=100_000_000)
    weeks: int = limited(low=1, high=10_000)
    population_seed: int = limited(low=0, high=LARGEST_SEED)
    luck_seed: int = limited(low=0, high=LARGEST_SEED)
    seed: int = limited(low=0, high=LARGEST_SEED)
    device: str
    num_threads: int | None = limited(low=1, high=1024)
    torch_threads: int = limited(low=1, high=1024)  # torch ends the process if it gets too many

    def __post_init__(self) -> None:
        """Raise ValueError for a value outside what is allowed."""
        check_device(self.device)
        if self.device.startswith("cuda"):
            import torch  # here, because --help does without it

            if not torch.cuda.is_available():
                raise ValueError(
                    f"device is {self.device!r}; this machine has no CUDA device, allowed is cpu"
                )

    def make_world(self) -> World:
        """Return the world that the settings describe.

        Raises:
            ValueError: unknown parameter, or a value outside what is allowed.
        """
        overrides = self.world_overrides or {}
        if self.world_file is not None:
            return load_world(Path(self.world_file), overrides)
        tree: Any = self.world
        for key, value in overrides.items():
            tree = _laid_over(tree, key, value)
        if "base" not in tree:
            return world_from_tree(tree, self.world_name)
        differences = {name: value for name, value in tree.items() if name != "base"}
        return replace(load_world(tree["base"], differences), name=self.world_name)


@dataclass(frozen=True, kw_only=True)
class Evaluation:
    """How agents are evaluated, as in ``configs/evaluation/default.yaml``."""

    burn_in: int = limited(low=0)
    streams: tuple[int, ...]
    every_opportunities: int | None = limited(low=1)
    curve_members: int = limited(low=2)
    references: str | None

    def __post_init__(self) -> None:
        """Raise ValueError for a value outside what is allowed."""
        if not self.streams or len(set(self.streams)) < len(self.streams) or min(self.streams) < 0:
            raise ValueError(
                f"evaluation.streams is {list(self.streams)}; allowed are different whole numbers "
                "of 0 or more, at least one"
            )


@dataclass(frozen=True, kw_only=True)
class EvaluatedSettings(Settings):
    """Settings of the commands that evaluate agents."""

    evaluation: Evaluation
    report: bool = True
    # The command that computes references has no such setting, only the default.
    references: str = limited(choices=REFERENCES, default="stored")

    def __post_init__(self) -> None:
        """Raise ValueError for a value outside what is allowed."""
        super().__post_init__()
        if self.references == "compute":
            check_writable(self.reference_folders()[0], "references folder")

    def find_references(self, world: World, protocol: EvaluationProtocol) -> References | None:
        """Return the references of a case; compute and keep missing ones if asked to."""
        folders = self.reference_folders()
        found = load_references(world, protocol, folders)
        if found is None and self.references == "compute":
            say(f"Computing the references of world {world.name}; this takes up to an hour.")
            found = compute_references(world, protocol)
            save_references(found, folders[0])
        return found

    def reference_folders(self) -> tuple[Path, ...]:
        """Return the folders that are searched for references; the first one is written to."""
        own = self.evaluation.references
        return (REFERENCES_FOLDER,) if own is None else (Path(own), REFERENCES_FOLDER)

    def make_protocol(self) -> EvaluationProtocol:
        """Return the evaluation protocol that the settings describe."""
        return EvaluationProtocol(
            self.num_members,
            self.weeks,
            self.evaluation.burn_in,
            self.population_seed,
            self.luck_seed,
            self.evaluation.streams,
        )


def check_private(store: Mapping[str, Any]) -> None:
    """Refuse a store that several agents would share; evaluation needs one per agent and luck.

    Raises:
        ValueError: the store has a name or a namespace.
    """
    for key in ("name", "namespace"):
        if store.get(key) is not None:
            raise ValueError(
                f"store.{key} is {store[key]!r}, which all agents and lucks would share; allowed "
                "here are store=memory, or store=shared without a name"
            )


def check_shared(store: Mapping[str, Any]) -> None:
    """Refuse a store that no other process can open.

    Raises:
        ValueError: the store has neither a name nor a namespace.
    """
    if store.get("name") is None and store.get("namespace") is None:
        raise ValueError(
            "store is private to this process, so that no other process can read or write it; "
            "allowed here are store=redis, or store=shared with a store.name"
        )


def _laid_over(tree: Any, key: str, value: Any) -> dict[str, Any]:
    """Return a mapping with the value at a dotted key replaced, or merged if both are mappings."""
    name, _, rest = key.partition(".")
    below = dict(tree) if isinstance(tree, Mapping) else {}
    if rest:
        return below | {name: _laid_over(below.get(name), rest, value)}
    if isinstance(value, Mapping) and isinstance(below.get(name), Mapping):
        value = {**below[name], **value}
    return below | {name: value}
