"""Any history of a reader and its store gives what the rules of the contract say."""

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.testing import assert_array_equal

from slowfast_rl.members.clock import DAY_SECONDS, WEEK_SECONDS
from slowfast_rl.store import pacing_plan, write_plans
from tests.envs.stores import CuttableStore
from tests.policies.readers import FEBRUARY, SAFE, Plan, opened, restored
from tests.store.faults import Faults


class PlainReader:
    """The rules of contract.md for one member at a time, in plain Python; and the store's."""

    def __init__(self) -> None:
        self.rows: dict[int, tuple[int, Plan]] = {}
        self.used: dict[int, tuple[int, Plan]] = {}
        self.fell_back: dict[int, int] = {}
        self.fallbacks = self.changes = 0

    def write(self, member: int, week: int, plan: Plan, now: int) -> None:
        if self.rows.get(member, (-1,))[0] < week <= now // WEEK_SECONDS:
            self.rows[member] = week, plan

    def read(self, member: int, now: int, silent: bool) -> Plan:
        week = now // WEEK_SECONDS
        used, row = self.used.get(member), None if silent else self.rows.get(member)
        if used and used[0] == week:
            return used[1]
        if row and (not used or row[0] > used[0]):
            self.changes += self.fell_back.get(member) == week
            self.used[member] = used = row
        if used and used[0] == week:
            return used[1]
        self.fallbacks += self.fell_back.get(member) != week
        self.fell_back[member] = week
        in_time = used and now < (used[0] + 1) * WEEK_SECONDS + FEBRUARY
        return used[1] if used and in_time else SAFE

    def forget(self, member: int) -> None:
        for known in (self.rows, self.used, self.fell_back):
            known.pop(member, None)


members = st.integers(0, 3)
acts = st.one_of(
    st.tuples(st.just("wait"), st.sampled_from([3600, DAY_SECONDS, WEEK_SECONDS, FEBRUARY])),
    st.tuples(st.just("write"), members, st.integers(0, 6), st.tuples(*[st.integers(0, 7)] * 2)),
    st.tuples(st.just("read"), st.sets(members, min_size=1), st.sampled_from(["", "empty"])),
    st.tuples(st.just("read"), st.sets(members, min_size=1), st.just("")),
    st.tuples(st.just("forget"), members),
    st.tuples(st.sampled_from(["cut", "mend", "empty", "restart"])),
)


@settings(max_examples=200)
@given(st.lists(acts, max_size=40))
def test_any_history_gives_what_the_rules_say(history: list[tuple]) -> None:
    store, rules = CuttableStore(), PlainReader()
    reader, now = opened(store), 0
    for act, *details in history:
        if act == "wait":
            now += details[0]
        elif act == "write":
            member, ago, plan = details
            week = now // WEEK_SECONDS - ago
            if week >= 0 and not store.down:
                reader.flush_pending_deletes()
                write_plans(store, [member], pacing_plan([plan], week), now)
                rules.write(member, week, plan, now)
        elif act == "read":
            ids, fault = sorted(details[0]), details[1]
            was_down = store.down
            if fault and not was_down:
                store.faults = Faults(empty_reads=True)
            expected = [rules.read(m, now, bool(fault) or was_down) for m in ids]
            found = reader.read_plans_in_force(np.array(ids), np.full(len(ids), now)).plan
            store.down = was_down
            assert_array_equal(found.target, expected)
            assert reader.counters == (rules.fallbacks, rules.changes)
        elif act == "forget":
            reader.forget(np.array(details))
            rules.forget(*details)
        elif act == "empty":
            store.empty()
            rules.rows.clear()
        elif act == "restart":
            reader = restored(reader)
        else:
            store.down = act == "cut"
