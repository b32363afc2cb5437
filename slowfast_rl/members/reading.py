"""Read JSON and YAML that may be damaged or hostile: the work is bounded before it begins."""

import json
import re
from collections.abc import Iterable
from hashlib import sha256
from pathlib import Path
from typing import Any

import yaml

from slowfast_rl.members.bounds import quoted

MAX_YAML_BYTES = 256 * 1024  # the longest world of the library has 6 kB
MAX_JSON_BYTES = 16 * 1024 * 1024
_SEAL = re.compile(rb'\{"sha256": "([0-9a-f]{64})",')
_MAX_VALUES = 50_000  # of a YAML file, each counted as often as an alias repeats it


def read_bytes(path: Path, most: int) -> bytes:
    """Return the content of a file of at most ``most`` bytes.

    Raises:
        ValueError: it is longer.
        OSError: it cannot be read.
    """
    with path.open("rb") as file:
        content = file.read(most + 1)
    if len(content) > most:
        raise ValueError(f"it has more than {most} bytes; allowed is at most that")
    return content


def sealed(text: str) -> bytes:
    """Return a JSON mapping whose first entry is the digest of everything after that entry."""
    rest = text.removeprefix("{").encode()
    return b'{"sha256": "%s",' % sha256(rest).hexdigest().encode() + rest


def unsealed(content: bytes) -> bytes:
    """Return what :func:`sealed` returned, after a check.

    Raises:
        ValueError: there is no digest, or the content was changed after it was written.
    """
    seal = _SEAL.match(content)
    if seal is None:
        raise ValueError("it does not begin with the digest of its content")
    if seal[1] != sha256(memoryview(content)[seal.end() :]).hexdigest().encode():
        raise ValueError("it was changed after it was written")
    return content


def parse_json(content: bytes) -> Any:
    """Return what JSON holds.

    Raises:
        ValueError: it is no JSON, gives a key twice, or is nested too deeply.
    """
    try:
        return json.loads(content, object_pairs_hook=_unique, parse_constant=_no_constant)
    except RecursionError:
        raise ValueError("it is nested too deeply") from None


def parse_yaml(content: bytes) -> Any:
    """Return what YAML holds: plain values, lists and mappings whose keys are unique.

    Raises:
        ValueError: it is no YAML, gives a key twice, is nested too deeply, or has too many values.
    """
    try:
        loader = yaml.SafeLoader(content)
        try:
            node = loader.get_single_node()
            if node is None:
                return None
            _count_values(node, {})
            return loader.construct_document(node)
        finally:
            loader.dispose()
    except RecursionError:
        raise ValueError("it is nested too deeply") from None
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark
        where = "" if mark is None else f" in line {mark.line + 1}"
        raise ValueError(
            f"it is not YAML: {_line(error.problem or error.context)}{where}"
        ) from None
    except yaml.YAMLError as error:
        raise ValueError(f"it is not YAML: {_line(error)}") from None


def _count_values(node: yaml.Node, known: dict[int, int]) -> int:
    """Return the number of values in a node, those of an alias each time; check that keys differ.

    ``known`` has the numbers of nodes that were counted already, 0 while one is being counted.
    """
    found = known.get(id(node))
    if found is not None:
        if found == 0:
            raise ValueError("it holds an alias of what the alias is in")
        return found
    known[id(node)] = 0
    total = 1
    if isinstance(node, yaml.MappingNode):
        keys = [key.value for key, _ in node.value if isinstance(key, yaml.ScalarNode)]
        _check_unique(keys)
        total += sum(_count_values(part, known) for pair in node.value for part in pair)
    elif isinstance(node, yaml.SequenceNode):
        total += sum(_count_values(part, known) for part in node.value)
    if total > _MAX_VALUES:
        raise ValueError(f"it has more than {_MAX_VALUES} values, with those that aliases repeat")
    known[id(node)] = total
    return total


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    _check_unique(key for key, _ in pairs)
    return dict(pairs)


def _check_unique(keys: Iterable[str]) -> None:
    seen: set[str] = set()
    for key in keys:
        if key in seen:
            raise ValueError(f"it gives {quoted(key)} twice; allowed is once")
        seen.add(key)


def _no_constant(name: str) -> Any:
    raise ValueError(f"it holds {name}; a finite number is needed")


def _line(value: object) -> str:
    """Return a text of PyYAML in one line."""
    return " ".join(str(value).split())[:80]
