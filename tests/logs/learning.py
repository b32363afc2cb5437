"""Logs to learn from: members under random plans and an executor that explores."""

from slowfast_rl.fast import ExploringExecutor
from slowfast_rl.logs import reading, recording
from slowfast_rl.logs.recording import PlanDesign
from tests.logs.cases import logged_world


def recorded(folder, name="pronounced", *, shard=1024, explore=0.5, **given):
    """A log in a new folder; with a small shard, of many parts."""
    w, before = logged_world(name), recording.SHARD
    recording.SHARD = shard
    defaults = {"num_members": 600, "weeks": 12, "population_seed": 3, "luck_seed": 3}
    try:
        recording.record(folder, w, ExploringExecutor(explore=explore), **(defaults | given))
    finally:
        recording.SHARD = before
    return reading.read(folder, w)


def held_for(weeks):
    """A design in which every plan is held for the same number of weeks."""
    return PlanDesign(held_share=1, hold_low=weeks, hold_high=weeks)
