"""Write the tables of ``docs/config.md``: every setting of every command, from the code.

A setting of a command is a field of its dataclass, with a value and a meaning in its YAML file. A
setting of a planner, executor, pacer or ranker is a field of its class's ``Settings``.

    python docs/hooks/config_page.py
"""

import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import fields
from importlib import import_module
from pathlib import Path
from typing import Any, get_type_hints

import yaml
from hydra import compose, initialize_config_dir
from omegaconf import OmegaConf

from slowfast_rl.cli.bench import BenchSettings
from slowfast_rl.cli.compare import CompareSettings
from slowfast_rl.cli.fit import FitCommandSettings
from slowfast_rl.cli.guide import yaml_settings
from slowfast_rl.cli.logs import LogSettings
from slowfast_rl.cli.ope import OpeSettings
from slowfast_rl.cli.plan import PlanSettings
from slowfast_rl.cli.references import ReferenceSettings
from slowfast_rl.cli.schema import allowed_text, allowed_types, register_settings
from slowfast_rl.cli.serve import ServeSettings
from slowfast_rl.cli.settings import Evaluation, Settings
from slowfast_rl.cli.train import TrainSettings
from slowfast_rl.evaluation.formatting import table
from slowfast_rl.fitting import FitSettings
from slowfast_rl.members.loading import config_folder, world_names
from slowfast_rl.policies.component import Component
from slowfast_rl.policies.registry import import_class, registered
from slowfast_rl.policies.settings import allowed_values
from slowfast_rl.store.files import write_block

PAGE = Path(__file__).parents[1] / "config.md"
BLOCK = "settings"
COMMANDS: dict[str, type[Settings]] = {
    "train": TrainSettings, "compare": CompareSettings, "plan": PlanSettings,
    "serve": ServeSettings, "logs": LogSettings, "fit": FitCommandSettings,
    "ope": OpeSettings, "bench": BenchSettings,
    "references": ReferenceSettings,
}  # fmt: skip
_HEADER = ("setting", "default", "allowed", "meaning")
_CONFIGS = config_folder()


def page_block() -> str:
    """Return the generated part of the page."""
    register_settings()
    with initialize_config_dir(str(_CONFIGS), version_base="1.3"):
        return "\n\n".join(_parts())


def _parts() -> Iterable[str]:
    yield "## Every command"
    yield _command_table(Settings, _CONFIGS / "base.yaml")
    for command, kind in COMMANDS.items():
        module = import_module(f"slowfast_rl.cli.{command}")
        name, _, what = (module.__doc__ or "").partition("\n")[0].partition(": ")
        yield f"## `{name}`"
        yield f"To {what}"
        yield _command_table(kind, _CONFIGS / f"{command}.yaml")
        yield _groups(command)
    yield "## Evaluation"
    yield "The group `evaluation`, as in `evaluation.burn_in=4`."
    yield _command_table(Evaluation, _CONFIGS / "evaluation" / "default.yaml", "evaluation.")
    yield "## Fitting"
    yield "The group `fitting` of `slowfast-fit`, as in `fitting.members=20480`."
    yield _command_table(FitSettings, _CONFIGS / "fitting" / "default.yaml", "fitting.")
    yield from _experiments()
    yield "## Worlds"
    yield (
        "The group `world`. Every parameter of a world is a setting too, as in "
        "`world.opt_out.relevance_weight=0.5`; [the member model](member-model.md#parameters) "
        "lists all with unit, value and source. `world_overrides` and a file of your own set the "
        "same."
    )
    yield ", ".join(f"`world={name}`" for name in world_names()) + "."
    yield from _constructed("agent", "Agents")
    yield from _levels("slow", "Planners", registered("planner"))
    yield from _levels("fast", "Executors", registered("executor"))
    yield from _fast_parts()
    yield from _constructed("store", "Stores")


def _command_table(kind: type[Any], file: Path, prefix: str = "") -> str:
    """Return the table of those settings of a dataclass that a YAML file gives a value."""
    hints, declared = get_type_hints(kind), {f.name: f for f in fields(kind)}
    return _table(
        (prefix + name, value, allowed_text(declared[name], hints[name]), meaning)
        for name, (value, meaning) in yaml_settings(file).items()
    )


def _groups(command: str) -> str:
    """Return the groups of a command with the option that it uses by default."""
    defaults: list[Any] = yaml.safe_load((_CONFIGS / f"{command}.yaml").read_text())["defaults"]
    chosen = {"world": "pronounced"}
    chosen |= {k: v for entry in defaults if isinstance(entry, dict) for k, v in entry.items()}
    chosen.pop("hydra", None)
    cells = [f"`{group}={option or 'null'}`" for group, option in chosen.items()]
    return f"Groups, with the option in use: {', '.join(cells)}."


def _experiments() -> Iterable[str]:
    """Describe each experiment by its comment and by what it sets."""
    yield "## Experiments"
    yield (
        "The group `experiment` of `slowfast-train` chooses the options of other groups and sets "
        "some settings. The command line has the last word: `experiment=ppo fast=coin`."
    )
    rows = []
    for file in sorted((_CONFIGS / "experiment").glob("*.yaml")):
        tree = yaml.safe_load(file.read_text())
        chosen = {
            key.removeprefix("override /"): value
            for entry in tree.pop("defaults")
            if isinstance(entry, dict)
            for key, value in entry.items()
        }
        shown = " ".join(f"{k}={_plain(v)}" for k, v in (chosen | _flat(tree)).items())
        rows.append((f"`experiment={file.stem}`", _comment(file), f"`{shown}`"))
    yield table(("experiment", "what it is", "what it sets"), rows)


def _levels(group: str, title: str, classes: Mapping[str, type[Component]]) -> Iterable[str]:
    """Describe the options of the group ``slow`` or ``fast``, with the settings of their classes.

    Args:
        group: the group.
        title: the heading.
        classes: the classes by option; an option that is none of them has no settings of its own.
    """
    yield f"## {title}"
    yield f"The group `{group}`; a setting is given as `{group}.<setting>=…`."
    for file in sorted((_CONFIGS / group).glob("*.yaml")):
        composed = compose("train", [f"{group}={file.stem}"])[group]
        node: Any = OmegaConf.to_container(composed, resolve=True)
        yield f"### `{group}={file.stem}`"
        yield _comment(file)
        parts = {k: v for k, v in node.items() if isinstance(v, dict)}
        if parts:
            names = {part: _name_of(group, part, value) for part, value in parts.items()}
            yield ", ".join(f"`{group}/{part}={name}`" for part, name in names.items()) + "."
        if file.stem in classes:
            yield _class_table(classes[file.stem], node)


def _fast_parts() -> Iterable[str]:
    """Describe pacers and rankers."""
    for kind, title in (("pacer", "Pacers"), ("ranker", "Rankers")):
        yield f"## {title}"
        yield (
            f"The group `fast/{kind}`, as in `fast/{kind}={next(iter(registered(kind)))}`; a "
            f"setting is given as `fast.{kind}.<setting>=…`."
        )
        for name, cls in sorted(registered(kind).items()):
            yield f"### `fast/{kind}={name}`"
            yield (cls.__doc__ or "").partition("\n")[0]
            yield _class_table(cls, {})


def _constructed(group: str, title: str) -> Iterable[str]:
    """Describe the options of a group whose YAML files name a class and its arguments."""
    yield f"## {title}"
    yield f"The group `{group}`; a setting is given as `{group}.<setting>=…`."
    for file in sorted((_CONFIGS / group).glob("*.yaml")):
        cls = import_class(yaml.safe_load(file.read_text())["_target_"], group)
        settings = getattr(cls, "Settings", None)
        hints = get_type_hints(cls.__init__ if settings is None else settings)
        bounds = {} if settings is None else {f.name: f for f in fields(settings)}
        yield f"### `{group}={file.stem}`"
        yield _comment(file) or (cls.__doc__ or "").partition("\n")[0]
        found = yaml_settings(file)
        found.pop("_target_")
        yield _table(
            (
                name,
                value,
                allowed_values(bounds[name], hints[name])
                if name in bounds
                else allowed_types(hints[name]),
                meaning,
            )
            for name, (value, meaning) in found.items()
        )


def _class_table(cls: type[Component], node: Mapping[str, Any]) -> str:
    """Return the table of a class's settings, with the defaults of a config node."""
    hints = get_type_hints(cls.Settings)
    return _table(
        (f.name, _plain(node.get(f.name, f.default)), allowed_values(f, hints[f.name]),
         f.metadata["text"])
        for f in fields(cls.Settings)
    )  # fmt: skip


def _table(rows: Iterable[tuple[str, str, str, str]]) -> str:
    """Return a table of settings, or the sentence that there are none."""
    cells = [
        (f"`{name}`", "required" if value == "???" else f"`{value}`", allowed, meaning)
        for name, value, allowed, meaning in rows
    ]
    return table(_HEADER, cells) if cells else "It has no settings."


def _name_of(group: str, part: str, node: Mapping[str, Any]) -> str:
    """Return the option of a part by the class that its node names."""
    classes = {cls: name for name, cls in registered(part).items()}
    return classes[import_class(node["_target_"], f"{group}.{part}")]


def _comment(file: Path) -> str:
    """Return the comment at the top of a YAML file, without hydra's line."""
    lines = re.match(r"(?:# @package \w+\n)?((?:#.*\n)*)", file.read_text())
    assert lines is not None
    text = " ".join(line.removeprefix("# ") for line in lines[1].splitlines())
    return text.partition(" Every setting of ")[0]  # what follows is for readers of the file


def _flat(tree: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    """Return the leaves of nested mappings by their dotted paths."""
    found: dict[str, Any] = {}
    for key, value in tree.items():
        below = _flat(value, f"{prefix}{key}.") if isinstance(value, dict) else None
        found |= {f"{prefix}{key}": value} if below is None else below
    return found


def _plain(value: Any) -> str:
    """Return a value as the command line writes it."""
    if isinstance(value, list):
        return f"[{','.join(map(_plain, value))}]"
    return value if isinstance(value, str) else json.dumps(value)


if __name__ == "__main__":
    write_block(PAGE, BLOCK, page_block())
