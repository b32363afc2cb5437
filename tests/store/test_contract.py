"""Every backend keeps the store's contract."""

import pytest
from hypothesis import settings
from hypothesis.stateful import run_state_machine_as_test

from tests.contracts.plan_contract import PlanContract
from tests.contracts.store_errors_contract import StoreErrorsContract
from tests.contracts.store_machine import store_machine
from tests.contracts.store_rows_contract import StoreRowsContract
from tests.contracts.store_snapshot_contract import StoreSnapshotContract
from tests.store.backends import BACKENDS, MakeStore

every_backend = pytest.mark.parametrize("make_store", BACKENDS.values(), ids=BACKENDS)


@every_backend
class TestStore(StoreRowsContract, StoreErrorsContract, StoreSnapshotContract):
    """The suites, once per backend."""


@every_backend
class TestPlans(PlanContract):
    """The suite, once per backend."""


@every_backend
def test_any_sequence_of_calls_agrees_with_a_plain_dict(make_store: MakeStore) -> None:
    run_state_machine_as_test(
        store_machine(make_store),
        settings=settings(max_examples=60, stateful_step_count=25),
    )
