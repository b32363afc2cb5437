"""The columns of a log: decisions, outcomes and plans; ``docs/logs.md`` shows them as tables."""

from typing import NamedTuple

VERSION = 1  # of the schema; changed when a column changes its meaning
LOG_FILE = "log.json"
LAUNCHES = "launches"
LAUNCH_FILE = f"{LAUNCHES}.parquet"


class Column(NamedTuple):
    """One column of a table.

    Attributes:
        name: the column's name.
        kind: the name of a type of numpy or Arrow; "name" is a text of which few differ; an "[]" at
            the end stands for one value each for candidates, actions or channels.
        required: whether a company's log must have it.
        meaning: what it holds, with its unit.
    """

    name: str
    kind: str
    required: bool
    meaning: str


#: One row is one decision: a member at a send opportunity. Holds are rows too.
DECISIONS: tuple[Column, ...] = (
    Column("time", "int64", True, "simulated seconds since Monday 00:00 of week 0"),
    Column("member", "int64", True, "entity id"),
    Column("channel", "name", True, "of the opportunity"),
    Column("action", "int16", True, "0 holds, j sends candidate j; after the guard"),
    Column(
        "propensity", "float64", True, "probability of this action, over all the executor's coins"
    ),
    Column("vetoed", "bool", False, "whether the guard replaced a send by this hold"),
    Column("target", "int32", False, "of the plan in force, on the channel; 0 once left"),
    Column("cap", "int32", False, "cap of the same plan on the channel; 0 once left"),
    Column("sent_this_week", "int32", False, "on the channel since Monday, before this decision"),
    Column("opted_in", "bool", False, "whether the member is, on the channel"),
    Column(
        "plan_source", "name", False, "plan: of this week; remembered: earlier; safe: neither"
    ),
    Column("plan_week", "int64", False, "week of the plan in force"),
    Column("plan_version", "int64", False, "policy version of that plan; 0 for the safe plan"),
    Column("executor_version", "name", False, "digest of the executor's parameters"),
    Column("topics", "int16[]", False, "[K] topic of each candidate, from 0"),
    Column("qualities", "float32[]", False, "[K] content quality, in standard deviations"),
    Column("launched", "bool[]", False, "[K] launch flag of each candidate"),
    Column("probabilities", "float64[]", False, "[1 + K] of a hold and of each candidate"),
    Column("reward", "float64", False, "simulated: expected utility of the slot, viewing days"),
)  # fmt: skip

EVENTS = ("opened", "dismissed", "opted_out", "opted_in", "viewed", "churned")
#: Events that follow from a send, whose decision a row of outcomes names.
OF_SENDS = ("opened", "dismissed", "opted_out")
#: One row is one event. Nothing is logged where nothing happened.
OUTCOMES: tuple[Column, ...] = (
    Column("time", "int64", True, "of the event, in simulated seconds"),
    Column("member", "int64", True, "entity id"),
    Column("channel", "name", True, "of a message or an opt-in; null for viewed and churned"),
    Column("event", "name", True, f"one of {', '.join(EVENTS)}"),
    Column(
        "decided_at", "int64", True, f"when the send was decided: {', '.join(OF_SENDS)}; else null"
    ),
)  # fmt: skip

#: One row is one member's plan of one week.
PLANS: tuple[Column, ...] = (
    Column("member", "int64", True, "entity id"),
    Column("week", "int32", True, "in which the plan is in force"),
    Column("target", "int32[]", True, "[C] intended sends of the week on each channel"),
    Column("shape", "name", False, "name of the pacing shape"),
    Column("propensity", "float64", True, "probability with which this plan was drawn"),
    Column("drawn_week", "int32", True, "week in which it was drawn; earlier where a plan is held"),
    Column("opted_in", "bool[]", True, "[C] whether the member is opted in on Monday"),
    Column("plan_version", "int64", False, "policy version"),
)

TABLES: dict[str, tuple[Column, ...]] = {
    "decisions": DECISIONS,
    "outcomes": OUTCOMES,
    "plans": PLANS,
}
#: What a log may be used for: evaluating messages, evaluating plans, or fitting a world.
QUESTIONS = ("messages", "plans", "fit")
#: The columns that identify a row of each table.
KEYS: dict[str, tuple[str, ...]] = {
    "decisions": ("member", "time", "channel"),
    "outcomes": ("member", "time", "channel", "event"),
    "plans": ("member", "week"),
}
