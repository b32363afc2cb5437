"""Read a log, one part at a time: each part has all rows of some members."""

from collections.abc import Iterator
from functools import cached_property
from pathlib import Path
from typing import NamedTuple

import numpy as np

from slowfast_rl.logs.company import with_company_side
from slowfast_rl.logs.launches import read_launches
from slowfast_rl.logs.parquet import TableRows, read_rows
from slowfast_rl.logs.schema import EVENTS, LAUNCH_FILE, LOG_FILE, TABLES, VERSION
from slowfast_rl.members.arrays import Float32, Int64
from slowfast_rl.members.bounds import quoted
from slowfast_rl.members.reading import MAX_JSON_BYTES, parse_json, read_bytes
from slowfast_rl.members.world import World


class LogPart(NamedTuple):
    """All rows of some members, as the files have them."""

    decisions: TableRows
    outcomes: TableRows
    plans: TableRows


class EventLog:
    """A log in a folder, in the documented schema.

    Args:
        folder: the folder, with ``log.json``.
        base: the world whose members' parameters stand in for the unknown ones, or its name or
            file; its channels must be those of the log.

    Raises:
        ValueError: the folder is no log, of another version, or lacks a file.
    """

    def __init__(self, folder: Path | str, base: World | str = "pronounced") -> None:
        self.folder = Path(folder)
        path = self.folder / LOG_FILE
        try:
            head = parse_json(read_bytes(path, MAX_JSON_BYTES))
        except (OSError, ValueError) as error:
            reason = "there is none" if isinstance(error, FileNotFoundError) else error
            raise ValueError(
                f"{self.folder} is no log: {path.name} cannot be read: {reason}; allowed is a "
                "folder that slowfast-logs wrote, as its mode=check does of a company's files"
            ) from error
        if not isinstance(head, dict) or head.get("schema") != VERSION:
            found = head.get("schema") if isinstance(head, dict) else head
            raise ValueError(f"{path} has schema {quoted(found)}; allowed is {VERSION}")
        weeks, company = head.get("weeks"), head.get("world")
        if type(weeks) is not int or not 1 <= weeks <= 5200:
            raise ValueError(f"{path} has weeks {quoted(weeks)}; allowed is 1 to 5200")
        if not isinstance(company, dict):
            raise ValueError(f"{path} has world {quoted(company)}; a mapping is needed")
        self.weeks: int = weeks
        self.world = with_company_side(base, company)
        names = {
            table: {p.name for p in (self.folder / table).glob("*.parquet")} for table in TABLES
        }
        self.part_names = tuple(sorted(names["plans"]))
        if not self.part_names:
            raise ValueError(f"{self.folder} has no plans; at least one file is needed")
        strange = sorted((names["decisions"] | names["outcomes"]) - names["plans"])
        if strange:
            raise ValueError(f"{self.folder} has {strange[0]} without plans; allowed is one with")
        for table, own in names.items():
            lost = sorted(names["plans"] - own)
            if own and lost:
                raise ValueError(
                    f"{self.folder} has no {table}/{lost[0]}; allowed is one for each of plans/, "
                    f"or none in {table}/"
                )
        self.has_decisions = bool(names["decisions"])

    @cached_property
    def launches(self) -> Float32:
        """[7 T, D] launches of each day and topic."""
        path, size = self.folder / LAUNCH_FILE, (7 * self.weeks, self.world.num_topics)
        return read_launches(path, *size) if path.exists() else np.zeros(size, np.float32)

    def part(self, name: str) -> LogPart:
        """Return the rows of one of :attr:`part_names`; a table without that file is empty."""
        names = {"channel": self.world.channels, "event": EVENTS, "shape": self.world.shape_names}
        found = {}
        for table, columns in TABLES.items():
            path = self.folder / table / name
            found[table] = (
                read_rows(path, columns, names) if path.exists() else TableRows.empty(columns)
            )
        return LogPart(**found)

    def parts(self) -> Iterator[LogPart]:
        """Yield every part."""
        for name in self.part_names:
            yield self.part(name)

    def __repr__(self) -> str:
        """Return the folder and its sizes."""
        return f"<EventLog {self.folder}: {self.weeks} weeks in {len(self.part_names)} parts>"


def read(folder: Path | str, base: World | str = "pronounced") -> EventLog:
    """Return the log in a folder; see :class:`EventLog`."""
    return EventLog(folder, base)


def menu_index(world: World, targets: Int64, shapes: Int64) -> Int64:
    """Return the index of each of B plans on the menu, -1 for one that is not on it, [B].

    Args:
        world: the world, for the menu.
        targets: [B, C] sends per week.
        shapes: [B] ids of pacing shapes.
    """
    index, on_menu = shapes.astype(np.int64), np.ones(len(targets), np.bool_)
    for c, allowed in enumerate(world.menu):
        menu = np.array(allowed)
        place = np.minimum(np.searchsorted(menu, targets[:, c]), len(menu) - 1)
        on_menu &= menu[place] == targets[:, c]
        index = index * len(menu) + place
    return np.where(on_menu & (shapes < len(world.shape_names)), index, -1)
