"""Check a log: every defect of every kind in one report, with rows and columns."""

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from slowfast_rl.logs.parquet import SOURCE_ROW, TableRows, read_rows, values_at
from slowfast_rl.logs.reading import EventLog, menu_index
from slowfast_rl.logs.report import SHOWN, Findings, LogReport
from slowfast_rl.logs.schema import EVENTS, KEYS, OF_SENDS, QUESTIONS, TABLES, Column
from slowfast_rl.members.arrays import Bool, Int64
from slowfast_rl.members.bounds import quoted
from slowfast_rl.members.clock import DAY_SECONDS, WEEK_SECONDS

if TYPE_CHECKING:
    from slowfast_rl.logs.conversion import Conversion

_TOLERANCE = 1e-6  # of probabilities, which float32 may have rounded
_FEW = 0.05  # share of choices left to chance below which a log says little
_CANDIDATES = ("topics", "qualities", "launched")  # columns that observations need
_NULLABLE = ("channel", "decided_at")  # required columns that are null where they do not apply
_ROW = Column(SOURCE_ROW, "int64", False, "number of the row in the files it comes from")


def check(
    log: EventLog,
    questions: Sequence[str] = (),
    conversion: "Conversion | None" = None,
    progress: Callable[[int], object] | None = None,
) -> LogReport:
    """Check every row of a log, and whether enough was left to chance for what is asked.

    Args:
        log: the log.
        questions: what it will be used for, of :data:`~slowfast_rl.logs.schema.QUESTIONS`.
        conversion: what :func:`~slowfast_rl.logs.convert` returned, if it made the log.
        progress: function that is called with the number of parts checked so far.

    Raises:
        ValueError: a file is damaged, or a question is unknown.
    """
    for question in questions:
        if question not in QUESTIONS:
            raise ValueError(f"questions has {question!r}; allowed: {', '.join(QUESTIONS)}")
    found, rows = Findings(), dict.fromkeys(TABLES, 0)
    chance = np.zeros(4)  # decisions with a choice, those left to chance, plans drawn, likewise
    members: Int64 = np.zeros(0, np.int64)
    if conversion is not None:
        for table, columns in conversion.lacking.items():
            for column in columns:
                found.add("error", table, column, "the column is missing")
        for table, columns in conversion.unread.items():
            found.add("warning", table, ", ".join(columns), "not a column of the schema, not read")
    for number, name in enumerate(log.part_names):
        part = _PartCheck(log, name, found, questions)
        for table, given in part.tables.items():
            rows[table] += given.size
        chance += part.run()
        twice = np.intersect1d(members, part.members)
        if twice.size:
            shown = [f"member {member}" for member in twice[:SHOWN]]
            found.add("error", "plans", "member", "rows in several parts", shown, len(twice))
        members = np.union1d(members, part.members)
        if progress is not None:
            progress(number + 1)
    for table in TABLES:
        if not rows[table]:
            what = f"the table has no rows: is there {table}.parquet, or a file in {table}/?"
            found.add("error", table, ", ".join(KEYS[table]), what)
    decisions, plans = (
        float(chance[i + 1] / chance[i]) if chance[i] else float("nan") for i in (0, 2)
    )
    _ask(found, questions, decisions, plans)
    return LogReport(found.all(), rows, len(members), decisions, plans)


def _ask(found: Findings, questions: Sequence[str], decisions: float, plans: float) -> None:
    """Add what is missing for the questions."""
    for question, share, what in (
        ("messages", decisions, "decisions"),
        ("plans", plans, "plans"),
        ("fit", plans, "plans"),
    ):
        if question in questions and not share >= _FEW:
            level = "warning" if share > 0 or question == "fit" else "error"
            shown = "none" if not share > 0 else f"{share:.1%}"
            found.add(
                level, "", "", f"{shown} of the {what} were left to chance; {question} needs "
                f"{_FEW:.0%} or more"
            )  # fmt: skip


class _PartCheck:
    """Checks the tables of one part."""

    def __init__(
        self, log: EventLog, name: str, found: Findings, questions: Sequence[str] = ()
    ) -> None:
        self.log, self.name, self.found, self.table = log, name, found, ""
        self.questions = questions
        names = {"channel": log.world.channels, "event": EVENTS, "shape": log.world.shape_names}
        self.tables: dict[str, TableRows] = {}
        for table, columns in TABLES.items():
            path = log.folder / table / name
            self.tables[table] = (
                read_rows(path, [*columns, _ROW], names, lenient=True)
                if path.exists()
                else TableRows({}, {}, 0)
            )
        ids = [t.columns["member"] for t in self.tables.values() if "member" in t.columns]
        known = np.unique(np.concatenate(ids)) if ids else np.zeros(0, np.int64)
        self.members: Int64 = known[known >= 0]

    def run(self) -> NDArray[np.float64]:
        """Check all tables; return numbers of choices, and how many were left to chance, [4]."""
        for table, given in self.tables.items():
            if given.size:
                self.table = table
                self._general(given, TABLES[table])
        self.table = "plans"
        plans = self._plans(self.tables["plans"].columns)
        self.table = "decisions"
        decisions = self._decisions(self.tables["decisions"].columns)
        self.table = "outcomes"
        self._outcomes(self.tables["outcomes"].columns)
        return np.array([*decisions, *plans])

    def error(self, column: str, what: str, wrong: Any) -> None:
        """Add a finding for rows [B] of the present table."""
        self._add("error", column, what, wrong)

    def _add(self, level: str, column: str, what: str, wrong: Any) -> None:
        rows = np.flatnonzero(wrong)
        if not rows.size:
            return
        given = self.tables[self.table].columns
        source = given.get(SOURCE_ROW)
        shown = [
            f"{self.name}:{row}" if source is None else f"{source[row]}" for row in rows[:SHOWN]
        ]
        values: list[str] = []
        if column in given:
            path = self.log.folder / self.table / self.name
            raw = values_at(path, column, rows[:SHOWN].astype(np.int64))
            values = [quoted(value) for value in raw if value is not None]
        self.found.add(level, self.table, column, what, shown, len(rows), values)

    def _general(self, given: TableRows, columns: Sequence[Column]) -> None:
        """Check that required columns are there and not null, and that no row is there twice."""
        values = given.columns
        for column in columns:
            null = given.nulls.get(column.name)
            if column.name not in values:
                if column.required:
                    self.found.add("error", self.table, column.name, "the column is missing")
            elif null is not None and column.name not in _NULLABLE and not self._unknown(column):
                self._add(self._missing(column), column.name, "missing", null)
        if "member" in values:
            self.error("member", "below 0", (values["member"] < 0) & ~self._null("member"))
        key = KEYS[self.table]
        if not set(key) <= set(values):
            return
        order = np.lexsort([values[name] for name in reversed(key)])
        same = np.ones(max(len(order) - 1, 0), np.bool_)
        for name in key:
            sorted_values = values[name][order]
            same &= sorted_values[1:] == sorted_values[:-1]
        twice = np.zeros(given.size, np.bool_)
        twice[order[1:][same]] = True
        what = "overlapping weeks" if self.table == "plans" else "a row twice"
        self.error(", ".join(key), what, twice)

    def _unknown(self, column: Column) -> bool:
        """Return whether an optional column is null in all rows, as one that is not there."""
        return not column.required and bool(self._null(column.name).all())

    def _missing(self, column: Column) -> str:
        """Return the level of missing values; questions about messages need no plan's propensity.

        Rows without a candidate's features cannot be used; other optional columns may be null.
        """
        if not column.required:
            return "error" if column.name in _CANDIDATES else "warning"
        plans_matter = not self.questions or set(self.questions) & {"plans", "fit"}
        unneeded = (self.table, column.name) == ("plans", "propensity") and not plans_matter
        return "warning" if unneeded else "error"

    def _null(self, name: str) -> Bool:
        given = self.tables[self.table]
        none = np.zeros(given.size, np.bool_)
        return given.nulls.get(name, none)

    def _probability(self, name: str, values: NDArray[Any]) -> None:
        self.error(name, "0 or below", values <= 0)
        self.error(name, "above 1", values > 1 + _TOLERANCE)

    def _names(self, name: str, codes: NDArray[Any], allowed: Sequence[str]) -> None:
        self.error(name, f"unknown {name}; known: {', '.join(allowed)}", codes == -2)

    def _plans(self, given: dict[str, NDArray[Any]]) -> tuple[int, int]:
        """Check plans; return how many were drawn, and how many of them by chance."""
        world, weeks = self.log.world, self.log.weeks
        if not {"member", "week"} <= set(given):
            return 0, 0
        week = given["week"].astype(np.int64)
        outside = ((week < 0) | (week >= weeks)) & ~self._null("week")
        self.error("week", f"outside 0 to {weeks - 1}", outside)
        channels = len(world.channels)
        for name in ("target", "opted_in"):
            width = given[name].shape[1] if name in given else channels
            if width != channels:
                self.error(name, f"{width} channels instead of {channels}", np.ones(len(week)))
                given = {other: values for other, values in given.items() if other != name}
        if "target" in given:
            shapes = given.get("shape", np.zeros(len(week), np.int64))
            on_menu = menu_index(world, given["target"], np.maximum(shapes, 0)) >= 0
            self.error("target", "not on the menu", ~on_menu & ~self._null("target"))
        if "shape" in given:
            self._names("shape", given["shape"], world.shape_names)
        if "propensity" in given:
            self._probability("propensity", given["propensity"])
        drawn = np.ones(len(week), np.bool_)
        if "drawn_week" in given:
            origin = given["drawn_week"].astype(np.int64)
            drawn = origin == week
            self.error("drawn_week", "after the week", (origin > week) & ~self._null("week"))
            self.error("drawn_week", "before the log", (origin < 0) & ~self._null("drawn_week"))
        self._weeks_in_order(given["member"], week)
        self._held(given)
        chance = drawn & (given.get("propensity", np.ones(len(week))) < 1 - _TOLERANCE)
        return int(drawn.sum()), int(chance.sum())

    def _weeks_in_order(self, member: Int64, week: Int64) -> None:
        """Check that the weeks of each member follow one another, from 0 on."""
        order = np.lexsort((week, member))
        same = member[order][1:] == member[order][:-1]
        gap = np.zeros(len(week), np.bool_)
        gap[order[1:]] = same & (np.diff(week[order]) > 1)
        self.error("week", "a week of the member is missing before", gap)
        late = np.zeros(len(week), np.bool_)
        late[order] = np.append([True], ~same)[: len(order)] & (week[order] > 0)
        self._add("warning", "week", "the member's first week is not week 0", late)

    def _held(self, given: dict[str, NDArray[Any]]) -> None:
        """Check that a plan that is held stays the same."""
        if not {"drawn_week", "target"} <= set(given):
            return
        order = np.lexsort((given["week"], given["member"]))
        member, drawn, target = (given[k][order] for k in ("member", "drawn_week", "target"))
        held = (member[1:] == member[:-1]) & (drawn[1:] == drawn[:-1])
        differs = target[1:] != target[:-1]
        if "opted_in" in given:  # a target may be 0 where the member has left the channel
            opted_in = given["opted_in"][order]
            differs &= opted_in[1:] & opted_in[:-1]
        changed = np.zeros(len(order), np.bool_)
        changed[order[1:]] = held & differs.any(axis=1)
        self.error(
            "target", "another plan than in the week before, of the same drawn_week", changed
        )

    def _decisions(self, given: dict[str, NDArray[Any]]) -> tuple[int, int]:
        """Check decisions; return how many had a choice, and how many were left to chance."""
        world = self.log.world
        if not {"member", "time", "action"} <= set(given):
            return 0, 0
        self._time(given["time"])
        action = given["action"].astype(np.int64)
        wrong = (action < 0) | (action > world.num_candidates)
        self.error("action", f"outside 0 to {world.num_candidates}", wrong)
        if "channel" in given:
            self._names("channel", given["channel"], world.channels)
            self.error("channel", "missing", given["channel"] == -1)
            self._slots(given["time"], given["channel"])
        if "propensity" in given:
            self._probability("propensity", given["propensity"])
        if "opted_in" in given:
            left = (action > 0) & ~given["opted_in"] & ~self._null("opted_in")
            self.error("action", "a send to a member who left the channel", left)
        self._candidates(given, action)
        self._vectors(given, action, wrong)
        self._of_week("time", given["member"], given["time"] // WEEK_SECONDS)
        propensity = given.get("propensity", np.ones(len(action)))
        chance = int((propensity < 1 - _TOLERANCE).sum())
        free = given.get("cap", np.ones(len(action))) > given.get("sent_this_week", np.zeros(1))
        free = free & given.get("opted_in", np.ones(len(action), np.bool_))
        return max(int(free.sum()), chance), chance

    def _time(self, time: Int64) -> None:
        last = self.log.weeks * WEEK_SECONDS
        outside = ((time < 0) | (time >= last)) & ~self._null("time")
        self.error("time", f"outside the log's {self.log.weeks} weeks", outside)

    def _slots(self, time: Int64, channel: NDArray[Any]) -> None:
        """Check that decisions are at the times of the schedule, on its channels."""
        schedule = self.log.world.schedule
        keys = [(s.weekday * DAY_SECONDS + s.second) * 32 + s.channel for s in schedule]
        here = time % WEEK_SECONDS * 32 + channel
        self.error(
            "time", "no slot of the channel's schedule", ~np.isin(here, keys) & (channel >= 0)
        )

    def _candidates(self, given: dict[str, NDArray[Any]], action: Int64) -> None:
        """Check the candidates' features, which observations need."""
        world = self.log.world
        known = {name: ~self._null(name) for name in _CANDIDATES}
        for name in _CANDIDATES:
            if name not in given or (len(action) and not known[name].any()):
                self.found.add(
                    "warning", "decisions", name, "the column is missing; observations need it"
                )
                known[name][:] = False
                continue
            width = given[name].shape[1]
            if width != world.num_candidates:
                self.error(name, f"{width} values instead of {world.num_candidates}", action >= 0)
        topics, qualities = given.get("topics"), given.get("qualities")
        if topics is not None:
            outside = ((topics < 0) | (topics >= world.num_topics)).any(axis=1)
            what = f"outside 0 to {world.num_topics - 1}"
            self.error("topics", what, outside & known["topics"])
        if qualities is not None:
            strange = ~np.isfinite(qualities).all(axis=1)
            self.error("qualities", "not a finite number", strange & known["qualities"])

    def _vectors(self, given: dict[str, NDArray[Any]], action: Int64, wrong: Bool) -> None:
        """Check the vectors of probabilities."""
        vectors = given.get("probabilities")
        if vectors is None:
            self.found.add(
                "warning", "decisions", "probabilities",
                "the column is missing; other policies can be evaluated on the sent message alone",
            )  # fmt: skip
            return
        known = ~np.isnan(vectors).all(axis=1)
        if vectors.shape[1] != 1 + self.log.world.num_candidates:
            self.error("probabilities", f"{vectors.shape[1]} values instead of 1 + K", known)
            return
        outside = (vectors < 0) | (vectors > 1 + _TOLERANCE)
        self.error("probabilities", "outside 0 to 1", outside.any(axis=1))
        self.error(
            "probabilities", "do not add up to 1", known & ~(abs(vectors.sum(axis=1) - 1) < 1e-4)
        )
        if "propensity" in given:
            own = vectors[np.arange(len(action)), np.where(wrong, 0, action)]
            differ = known & ~wrong & (abs(own - given["propensity"]) > 1e-4)
            self.error("propensity", "differs from the action's in probabilities", differ)

    def _outcomes(self, given: dict[str, NDArray[Any]]) -> None:
        world = self.log.world
        if not {"member", "time", "event"} <= set(given):
            return
        self._time(given["time"])
        event, channel = given["event"], given.get("channel", np.full(len(given["event"]), -1))
        self._names("event", event, EVENTS)
        self._names("channel", channel, world.channels)
        of_channel = ~np.isin(event, [EVENTS.index("viewed"), EVENTS.index("churned")])
        self.error("channel", "missing", of_channel & (channel == -1) & (event >= 0))
        self._of_week("time", given["member"], given["time"] // WEEK_SECONDS)
        self._churn(given)
        of_sends = np.isin(event, [EVENTS.index(name) for name in OF_SENDS])
        decided = given.get("decided_at", np.full(len(event), -1))
        self.error("decided_at", "missing for an event of a send", of_sends & (decided < 0))
        self.error("time", "before the send was decided", of_sends & (given["time"] < decided))
        late = of_sends & (decided >= 0) & (given["time"] // WEEK_SECONDS > decided // WEEK_SECONDS)
        self._add("warning", "time", "in a week after the send's, to which it is counted", late)
        sends = self.tables["decisions"].columns
        if {"member", "time", "action", "channel"} <= set(sends):
            sent = sends["action"] > 0
            known = self._keys(*(sends[name][sent] for name in ("member", "time", "channel")))
            lost = of_sends & (decided >= 0)
            lost &= ~np.isin(self._keys(given["member"], decided, channel), known)
            self.error("decided_at", "no send of the member at that time on the channel", lost)

    def _keys(self, member: Int64, time: Int64, channel: NDArray[Any]) -> Int64:
        """Return a number for each member, time and channel, [B]; ids may be large, places not."""
        place = np.searchsorted(self.members, member)
        inside = np.clip(time, -1, self.log.weeks * WEEK_SECONDS)
        keys: Int64 = (place * (self.log.weeks * WEEK_SECONDS + 2) + inside + 1) * 64 + channel + 2
        return keys

    def _churn(self, given: dict[str, NDArray[Any]]) -> None:
        """Check that members have plans until they churn, and none after it."""
        plans = self.tables["plans"].columns
        if not {"member", "week"} <= set(plans) or not len(self.members):
            return
        gone = (given["event"] == EVENTS.index("churned")) & (given["member"] >= 0)
        gone &= given["time"] >= 0
        never = np.iinfo(np.int64).max
        churned = np.full(len(self.members), never)  # [N] week in which the member churned
        places = np.searchsorted(self.members, given["member"][gone])
        np.minimum.at(churned, places, given["time"][gone] // WEEK_SECONDS)
        known = plans["member"] >= 0
        place = np.where(known, np.searchsorted(self.members, plans["member"]), 0)
        week = plans["week"].astype(np.int64)
        last = np.full(len(self.members), -1)
        np.maximum.at(last, place[known], week[known])
        self.table = "plans"
        self.error("week", "after the member churned", known & (week > churned[place]))
        ends = known & (week == last[place]) & (week < self.log.weeks - 1)
        what = "the member's last week, and no event says that it churned"
        self._add("warning", "week", what, ends & (churned[place] == never))
        self.table = "outcomes"

    def _of_week(self, column: str, member: Int64, week: Int64) -> None:
        """Check that members have a plan in the weeks of rows."""
        plans = self.tables["plans"].columns
        if {"member", "week"} <= set(plans):
            weeks = self.log.weeks
            places = [np.searchsorted(self.members, ids) for ids in (plans["member"], member)]
            theirs, inside = plans["week"], (week >= 0) & (week < weeks) & (member >= 0)
            planned = (plans["member"] >= 0) & (theirs >= 0) & (theirs < weeks)
            keys = (places[0] * weeks + theirs)[planned]
            lost = inside & ~np.isin(places[1] * weeks + week, keys)
            self.error(column, "the member has no plan in that week", lost)
