"""Suites that every implementation passes; a test module subclasses them once per kind."""

import pytest

for suite in ("env_contract", "plan_contract", "sb3_contract", "store_contract", "store_machine"):
    pytest.register_assert_rewrite(f"{__name__}.{suite}")
