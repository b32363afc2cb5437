"""What ``--help`` prints: the command's own words, its settings, groups and flags."""

import re
import textwrap
from collections.abc import Iterator
from pathlib import Path

from slowfast_rl.cli.schema import settings_help, settings_nodes

_SETTING = re.compile(r"^(\w+): ([^$\s].*?)\s*(?:# (.*))?$")
_GROUP = re.compile(r"^  - (\w+): (\w+)( *#.*)?$")
_INDENT = 32  # of what a setting means
_FLAGS = """\
Flags
  -m                            run once for each of several values, as in seed=0,1,2
  --config-dir <folder>         look for groups' files, such as world/mine.yaml, there as well
  --cfg job                     print the whole configuration instead of running
  --hydra-help                  hydra's own flags; hydra.run.dir=<folder> says where results go

HYDRA_FULL_ERROR=1 in the environment shows where an error came from."""


def guide(command: str, text: str, folder: Path) -> str:
    """Return the help of a command.

    Args:
        command: name of its YAML file.
        text: what it does, with examples.
        folder: of the YAML files.
    """
    base, own = ((folder / f"{name}.yaml").read_text() for name in ("base", command))
    lines = [text.strip(), "", "Settings, as name=value"]
    lines += _settings(own, base)
    groups = dict(_groups(base + own))
    lines += ["", "Groups, as group=option (the first is the default)"]
    for group, default in groups.items():
        found = sorted(path.stem for path in (folder / group).glob("*.yaml"))
        options = [default, *(name for name in found if name != default)]
        lines.append(_columns(group, ", ".join(options)))
    nodes = settings_nodes()
    for group, default in groups.items():
        if (group, default) in nodes:
            lines += ["", f"Settings of {group}={default}, as {group}.name=value"]
            for name, value, meaning in settings_help(nodes[group, default]):
                lines.append(_line(name, value, meaning))
        elif group == "evaluation":
            lines += ["", "Settings of evaluation, as evaluation.name=value"]
            lines += _settings((folder / group / f"{default}.yaml").read_text())
    return "\n".join([*lines, "", _FLAGS])


def _settings(*files: str) -> list[str]:
    """Return a line for each setting with a value; an earlier file's counts."""
    found = [_SETTING.match(line) for file in files for line in file.splitlines()]
    lines: dict[str, str] = {}
    for m in filter(None, found):
        lines.setdefault(m[1], _line(m[1], m[2], m[3] or ""))
    return list(lines.values())


def _groups(yaml: str) -> Iterator[tuple[str, str]]:
    for line in yaml.splitlines():
        match = _GROUP.match(line)
        if match and match[1] != "hydra":
            yield match[1], match[2]


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
