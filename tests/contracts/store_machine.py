"""Any sequence of calls, against a plain dict that restates the contract one row at a time."""

from dataclasses import dataclass, field

import numpy as np
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from slowfast_rl.members.clock import WEEK_SECONDS
from slowfast_rl.store import Status, pacing_plan, plan_view, read_plans, write_plans
from slowfast_rl.store.rules import HORIZON_WEEKS
from tests.store.backends import MakeStore
from tests.store.cases import MAX_AGE, OBSERVATIONS, observations

# Few ids, so that calls meet; far enough apart to leave and re-enter the table of a dense index.
ids = st.sampled_from([0, 1, 2, 3, 70_000, 10**9, 10**9 + 1, 2**40, 2**63 - 1])
values = st.integers(1, 1000)
ages = st.one_of(st.integers(0, 2 * MAX_AGE), st.sampled_from([0, MAX_AGE - 1, MAX_AGE]))
weeks = st.one_of(st.integers(0, 5), st.sampled_from([15, 40]))
moments = st.sampled_from([0, 1, WEEK_SECONDS - 1])


@dataclass
class Model:
    """Rows by (view, id): (stamp, value); and what was counted."""

    rows: dict[tuple[str, int], tuple[int, int]] = field(default_factory=dict)
    counters: dict[str, int] = field(
        default_factory=lambda: {"refused_writes": 0, "stale_reads": 0, "not_found_reads": 0}
    )

    def write(self, view: str, entity: int, stamp: int, value: int, *, may: bool) -> bool:
        if may:
            self.rows[view, entity] = (stamp, value)
        else:
            self.counters["refused_writes"] += 1
        return may

    def read(self, view: str, entity: int, now: int, max_age: int) -> tuple[int, int, int]:
        stamp, value = self.rows.get((view, entity), (now + 1, 0))
        if stamp > now:
            self.counters["not_found_reads"] += 1
            return Status.NOT_FOUND, 0, 0
        if now - stamp >= max_age:
            self.counters["stale_reads"] += 1
            return Status.OUTSIDE_MAX_AGE, stamp, value
        return Status.PRESENT, stamp, value


def store_machine(make_store: MakeStore) -> type[RuleBasedStateMachine]:
    """Returns the machine for one backend."""

    class StoreMachine(RuleBasedStateMachine):
        def __init__(self) -> None:
            super().__init__()
            self.store = make_store()
            self.store.apply([OBSERVATIONS, plan_view(1)])
            self.model = Model()

        @rule(batch=st.dictionaries(ids, st.tuples(values, ages)))
        def write_observations(self, batch: dict[int, tuple[int, int]]) -> None:
            expected = 0
            for entity, (value, time) in batch.items():
                stored = self.model.rows.get(("observations", entity), (0, 0))[0]
                expected += self.model.write(
                    "observations", entity, time, value, may=time >= stored
                )
            streaks = [value for value, _ in batch.values()]
            times = np.array([time for _, time in batch.values()], np.int64)
            entities = np.array(list(batch), np.int64)
            assert expected == self.store.write_to_online_store(
                "observations", entities, observations(streaks), times
            )

        @rule(batch=st.dictionaries(ids, values), week=weeks, clock=weeks, moment=moments)
        def write_plans(self, batch: dict[int, int], week: int, clock: int, moment: int) -> None:
            now = clock * WEEK_SECONDS + moment
            week = min(week, clock + HORIZON_WEEKS)
            expected = 0
            for entity, value in batch.items():
                stored = self.model.rows.get(("plans", entity), (-1, 0))[0]
                monday = week * WEEK_SECONDS
                mistaken = stored > now + HORIZON_WEEKS * WEEK_SECONDS
                may = (stored < monday or mistaken) and monday <= now
                expected += self.model.write("plans", entity, monday, value, may=may)
            plan = pacing_plan(np.array(list(batch.values()), np.int64).reshape(-1, 1), week)
            assert expected == write_plans(self.store, np.array(list(batch), np.int64), plan, now)

        @rule(batch=st.lists(st.tuples(ids, ages)))
        def read_observations(self, batch: list[tuple[int, int]]) -> None:
            expected = [self.model.read("observations", *row, MAX_AGE) for row in batch]
            asked = np.array(batch, np.int64).reshape(-1, 2)
            found = self.store.get_online_features("observations", asked[:, 0], asked[:, 1])
            streaks = found.values["streak"]
            assert expected == list(zip(found.status, found.event_timestamp, streaks, strict=True))
            there = observations([value for _, _, value in expected])
            missing = found.status == Status.NOT_FOUND
            assert (found.values["opens"] == np.where(missing[:, None], 0, there["opens"])).all()

        @rule(batch=st.lists(ids), week=weeks, moment=moments)
        def read_plans(self, batch: list[int], week: int, moment: int) -> None:
            now = week * WEEK_SECONDS + moment
            expected = [self.model.read("plans", entity, now, WEEK_SECONDS) for entity in batch]
            plan, status = read_plans(self.store, np.array(batch, np.int64), now)
            mondays = plan.week * WEEK_SECONDS
            assert expected == list(zip(status, mondays, plan.cap[:, 0], strict=True))

        @rule(view=st.sampled_from(["observations", "plans"]), batch=st.lists(ids))
        def delete(self, view: str, batch: list[int]) -> None:
            gone = [self.model.rows.pop((view, entity), None) for entity in batch]
            expected = sum(row is not None for row in gone)
            assert self.store.delete(view, np.array(batch, np.int64)) == expected

        @rule()
        def move_to_another_store(self) -> None:
            twin = make_store()
            twin.restore(self.store.snapshot())
            self.store = twin

        @invariant()
        def counts_agree(self) -> None:
            assert dict(self.store.counters) == self.model.counters

        @invariant()
        def snapshot_holds_the_same_rows(self) -> None:
            arrays = self.store.snapshot().arrays
            held = {
                (view, int(entity)): (int(stamp), int(value))
                for view, column in (("observations", "streak"), ("plans", "target"))
                for entity, stamp, value in zip(
                    arrays[f"{view}/entity_ids"],
                    arrays[f"{view}/event_timestamp"],
                    arrays[f"{view}/values/{column}"].reshape(-1),
                    strict=True,
                )
            }
            assert held == self.model.rows

    return StoreMachine
