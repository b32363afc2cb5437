"""The environments under test: a new one is a new line here."""

from collections.abc import Callable
from typing import Any, NamedTuple

import gymnasium as gym
import numpy as np
from gymnasium.utils.env_checker import data_equivalence

from slowfast_rl.envs import MessagingVectorEnv  # registers the environments
from slowfast_rl.envs.base import MemberVectorEnv
from slowfast_rl.envs.single import SingleMemberEnv
from slowfast_rl.members.loading import load_world
from slowfast_rl.policies import PlanSource
from slowfast_rl.store import InMemoryFeatureStore
from tests.envs.planners import VariedPlanner
from tests.members.worlds import world

SEED = 11
WEEKS = 3
DOOMED = load_world(
    "pronounced", {"churn.floor": 1, "churn.scale": 0}
)  # nobody survives the first week


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
        return gym.make(self.id, **self.arguments() | more).unwrapped

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

    def without_planner(self) -> dict[str, Any]:
        """Arguments without its planner, which knows no world but the case's."""
        return {"plan_source": None} if self.name == "Messaging" else {}


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


def steps(env: MemberVectorEnv, weeks: int) -> int:
    """How many steps a number of weeks takes."""
    return weeks * (env.world.slots_per_week if isinstance(env, MessagingVectorEnv) else 1)


def actions_of(env: MemberVectorEnv, count: int, seed: int = 0) -> np.ndarray:
    """[count, N] random actions, forbidden ones too."""
    rng = np.random.default_rng(seed)
    return rng.integers(0, env.num_actions, (count, env.num_envs))


def play(env: gym.vector.VectorEnv, actions: np.ndarray, seed: int | None = SEED) -> list[Any]:
    """Everything that reset and the steps return, in order."""
    return [env.reset(seed=seed), *(env.step(a) for a in actions)]


def same(one: Any, other: Any) -> bool:
    return data_equivalence(one, other, exact=True)
