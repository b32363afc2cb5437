"""Every environment keeps the environments' contract, alone and behind Stable-Baselines3."""

import pytest

from tests.contracts.env_episodes_contract import EnvEpisodesContract
from tests.contracts.env_errors_contract import EnvErrorsContract
from tests.contracts.env_interface_contract import EnvInterfaceContract
from tests.contracts.sb3_contract import SB3Contract
from tests.envs.cases import CASES

every_case = pytest.mark.parametrize("case", CASES.values(), ids=CASES)


@every_case
class TestEnv(EnvInterfaceContract, EnvEpisodesContract, EnvErrorsContract):
    """The suites, once per case."""


@every_case
class TestBehindStableBaselines3(SB3Contract):
    """The suite, once per case."""
