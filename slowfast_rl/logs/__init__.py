"""Logs of a company, or of a simulation that stands in for one: write, read, check, replay."""

from typing import TYPE_CHECKING, Any

from slowfast_rl.logs.weekly_log import WeeklyLog

if TYPE_CHECKING:  # what they need is imported when they are asked for
    from slowfast_rl.logs.checks import check
    from slowfast_rl.logs.conversion import convert
    from slowfast_rl.logs.histories import (
        MemberHistories,
        weekly,
        weekly_observations,
        weekly_table,
    )
    from slowfast_rl.logs.mapping import LogMapping, read_mapping
    from slowfast_rl.logs.minari_dataset import write_minari
    from slowfast_rl.logs.reading import EventLog, read
    from slowfast_rl.logs.recording import PlanDesign, record

_MODULES = {
    "EventLog": "reading",
    "LogMapping": "mapping",
    "MemberHistories": "histories",
    "PlanDesign": "recording",
    "check": "checks",
    "convert": "conversion",
    "read": "reading",
    "read_mapping": "mapping",
    "record": "recording",
    "weekly": "histories",
    "weekly_observations": "histories",
    "weekly_table": "histories",
    "write_minari": "minari_dataset",
}

__all__ = [
    "EventLog",
    "LogMapping",
    "MemberHistories",
    "PlanDesign",
    "WeeklyLog",
    "check",
    "convert",
    "read",
    "read_mapping",
    "record",
    "weekly",
    "weekly_observations",
    "weekly_table",
    "write_minari",
]


def __getattr__(name: str) -> Any:
    if name not in _MODULES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from importlib import import_module

    return getattr(import_module(f"{__name__}.{_MODULES[name]}"), name)
