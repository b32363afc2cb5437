"""The environments under test: a new one is a new line here."""

from collections.abc import Callable
from typing import Any, NamedTuple

import gymnasium as gym

import slowfast_rl.envs  # noqa: F401 - registers the environments
from slowfast_rl.envs import PlanSource
from slowfast_rl.envs.base import MemberVectorEnv
from slowfast_rl.envs.single import SingleMemberEnv
from slowfast_rl.members.loading import load_world
from slowfast_rl.store import InMemoryFeatureStore
from tests.envs.planners import VariedPlanner
from tests.members.worlds import world

WEEKS = 3
DOOMED = load_world("pronounced", {"churn.floor": 1})  # nobody survives the first week


class Case(NamedTuple):
    """One environment and fresh keyword arguments for it."""

    name: str
    arguments: Callable[[], dict[str, Any]]

    @property
    def id(self) -> str:
        """The name it is registered under."""
        return f"slowfast_rl/{self.name}-v0"

    def single(self, **more: Any) -> SingleMemberEnv:
        """The environment of one member, unwrapped."""
        return gym.make(self.id, **self.arguments() | more).unwrapped  # type: ignore[return-value]

    def vector(self, num_envs: int, **more: Any) -> MemberVectorEnv:
        """The vector environment."""
        env = gym.make_vec(
            self.id,
            num_envs=num_envs,
            vectorization_mode="vector_entry_point",
            **self.arguments() | more,
        )
        assert isinstance(env, MemberVectorEnv)
        return env


def plain(name: str) -> dict[str, Any]:
    return {"world": world(name), "weeks": WEEKS}


def planned(name: str) -> dict[str, Any]:
    source = PlanSource(VariedPlanner(world(name)), InMemoryFeatureStore())
    return {"world": world(name), "weeks": WEEKS, "plan_source": source}


CASES = {
    "messaging": Case("Messaging", lambda: plain("eventful")),
    "messaging-in-app": Case("Messaging", lambda: plain("in_app") | {"privileged": True}),
    "messaging-with-plans": Case("Messaging", lambda: planned("eventful")),
    "messaging-with-plans-in-app": Case("Messaging", lambda: planned("in_app")),
    "pacing": Case("Pacing", lambda: plain("eventful")),
    "pacing-in-app": Case("Pacing", lambda: plain("in_app") | {"privileged": True}),
}
