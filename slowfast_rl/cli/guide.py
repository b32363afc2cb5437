"""The text of ``--help``: what a command does, its settings, groups and flags."""

import re
import textwrap
from pathlib import Path

from hydra.core.config_loader import ConfigLoader
from omegaconf import DictConfig

from slowfast_rl.cli.schema import settings_help, settings_nodes
from slowfast_rl.members.loading import config_folder

_SETTING = re.compile(r"^(\w+): ([^$\s].*?)\s*(?:# (.*))?$")
_WITH_MEANINGS = ("evaluation", "fitting")  # groups whose only option says what its settings mean
_INDENT = 32  # of the second column
_FLAGS = """\
Flags
  -m                            run once for each of several values, as in seed=0,1,2
  --config-dir <folder>         also read options of groups there, such as world/mine.yaml
  --cfg job                     print the whole configuration instead of running
  --hydra-help                  hydra's own flags; hydra.run.dir=<folder> sets the folder of results

With HYDRA_FULL_ERROR=1 in the environment, an error shows its traceback."""


def guide(command: str, text: str, config: DictConfig, loader: ConfigLoader) -> str:
    """Return the help of a command.

    Args:
        command: the name of the command's YAML file.
        text: what the command does, with examples.
        config: the configuration that hydra composed, with its own part.
        loader: hydra's, which knows the options of the user's own folder too.
    """
    choices = reversed(config.hydra.runtime.choices.items())
    chosen = {group: choice for group, choice in choices if not group.startswith("hydra")}
    lines = [text.strip(), "", "Settings, as name=value"]
    lines += _settings(config_folder() / f"{command}.yaml", config_folder() / "base.yaml")
    lines += ["", "Groups, as group=option (the first is the one in use)"]
    for group, choice in chosen.items():
        others = [name for name in loader.get_group_options(group) if name != choice]
        lines.append(_columns(group, ", ".join([choice or "(none)", *others])))
    nodes = settings_nodes()
    for group, choice in chosen.items():
        if (group, choice) in nodes:
            lines += ["", f"Settings of {group}={choice}, as {group}.name=value"]
            for name, value, meaning in settings_help(nodes[group, choice]):
                lines.append(_line(name, value, meaning))
        elif group in _WITH_MEANINGS:
            lines += ["", f"Settings of {group}, as {group}.name=value"]
            lines += _settings(config_folder() / group / "default.yaml")
    return "\n".join([*lines, "", _FLAGS])


def yaml_settings(*files: Path) -> dict[str, tuple[str, str]]:
    """Return value and meaning of each setting with a value; the first file that has it counts."""
    found = [
        _SETTING.match(line) for file in files for line in file.read_text("utf-8").splitlines()
    ]
    settings: dict[str, tuple[str, str]] = {}
    for m in filter(None, found):
        settings.setdefault(m[1], (m[2], m[3] or ""))
    return settings


def _settings(*files: Path) -> list[str]:
    """Return a line for each setting with a value."""
    return [_line(name, *both) for name, both in yaml_settings(*files).items()]


def _line(name: str, value: object, meaning: str) -> str:
    return _columns(f"{name}={value}", meaning)


def _columns(left: str, meaning: str) -> str:
    """Return two columns, at most 100 wide."""
    head = f"  {left:<29} "
    inner = textwrap.wrap(meaning, 100 - _INDENT) or [""]
    if len(head) > _INDENT:
        inner = ["", *inner]
    return f"\n{' ' * _INDENT}".join(
        [head.rstrip() if not inner[0] else head + inner[0], *inner[1:]]
    )
