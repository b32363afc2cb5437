"""Suites that every implementation passes; a test module subclasses them once per kind."""

import pytest

for suite in (
    "component_contract",
    "env_episodes_contract",
    "env_errors_contract",
    "env_interface_contract",
    "learner_contract",
    "plan_contract",
    "planner_contract",
    "sb3_contract",
    "store_errors_contract",
    "store_machine",
    "store_rows_contract",
    "store_snapshot_contract",
):
    pytest.register_assert_rewrite(f"{__name__}.{suite}")
