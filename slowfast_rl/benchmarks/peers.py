"""Planners that learn by other libraries' PPO as it comes, for comparison in ``suite=train``.

They play ``Pacing-v0`` through its adapter for Stable-Baselines3, with that library's
``VecNormalize``, and every setting of the algorithm has its library's default. What they learn is
evaluated as any planner is. ``experiment=ppo`` is Stable-Baselines3's PPO with settings for this
problem.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Self

import numpy as np

from slowfast_rl.envs.pacing import PacingVectorEnv
from slowfast_rl.members.arrays import Float32, Int64
from slowfast_rl.members.observations import weekly_features
from slowfast_rl.members.world import World
from slowfast_rl.policies.budget import Progress, Stopwatch, check_budget
from slowfast_rl.policies.component import NotTrainedError
from slowfast_rl.policies.contracts import BasePlanner, Executor, PlanRequest
from slowfast_rl.policies.settings import Settings, setting

_LAYERS = 3
_MOST_INPUT = np.float32(10)  # to which VecNormalize clips by default


@dataclass(frozen=True, kw_only=True)
class PeerSettings(Settings):
    """Settings of the peers; those of the algorithm are its library's defaults."""

    num_envs: int = setting(8, "members simulated in parallel", low=1, high=2**24)
    weeks: int = setting(112, "length of an episode (weeks)", low=1, high=2**16)


class _PeerPPO(BasePlanner):
    """Plans by a library's PPO with its default net: two layers of tanh, one logit for each plan.

    The net's weights are copied into arrays, so that evaluating it costs the same for each peer.
    """

    Settings = PeerSettings
    settings: PeerSettings
    thread_safe = True
    default_opportunities = 60_000_000  # as for experiment=ppo

    def __init__(self, settings: PeerSettings | None = None, **values: Any) -> None:
        super().__init__(settings, **values)
        self._net: dict[str, Float32] = {}

    def learn(
        self,
        world: World,
        executor: Executor | None = None,
        *,
        total_opportunities: int | None = None,
        total_cpu_seconds: float | None = None,
        seed: int = 0,
        progress: Progress | None = None,
    ) -> Self:
        """Train on members of population ``seed``; see :meth:`BasePlanner.learn`.

        A budget is rounded up to whole rollouts.

        Raises:
            ValueError: not exactly one budget above 0 is given.
        """
        from stable_baselines3.common.callbacks import BaseCallback  # imports torch
        from stable_baselines3.common.vec_env import VecNormalize

        from slowfast_rl.envs.sb3 import SB3VecEnv

        check_budget(total_opportunities, total_cpu_seconds)
        watch, s, planner = Stopwatch(), self.settings, self
        self.prepare(world)
        env = PacingVectorEnv(
            s.num_envs,
            world,
            weeks=s.weeks,
            executor=executor,
            population_seed=seed,
            luck_seed=seed,
            first_member=0,
        )
        discount, slots = world.reward.weekly_discount, world.slots_per_week
        scaled = VecNormalize(SB3VecEnv(env), gamma=discount)
        model = self._algorithm()("MlpPolicy", scaled, gamma=discount, seed=seed)

        class Rollouts(BaseCallback):
            """Copies the net before each rollout, and tells how far training is."""

            def _on_rollout_start(self) -> None:
                planner._copy(model, scaled)
                planner.opportunities = self.num_timesteps * slots
                planner.cpu_seconds = watch.spent
                if progress is not None:
                    watch.call_untimed(progress, planner.opportunities)

            def _on_step(self) -> bool:
                return total_cpu_seconds is None or watch.spent < total_cpu_seconds

        steps = 2**40 if total_opportunities is None else -(-total_opportunities // slots)
        model.learn(steps, Rollouts())
        self._copy(model, scaled)
        self.policy_version += 1
        self.opportunities, self.cpu_seconds = int(model.num_timesteps) * slots, watch.spent
        return self

    def _algorithm(self) -> Any:
        """Return the library's class."""
        raise NotImplementedError

    def _layers(self, model: Any) -> list[tuple[Any, Any]]:
        """Return kernel [inputs, outputs] and bias [outputs] of each layer of the policy's net."""
        raise NotImplementedError

    def _copy(self, model: Any, scaled: Any) -> None:
        """Copy the net and how its inputs are standardised."""
        deviation = np.sqrt(scaled.obs_rms.var + scaled.epsilon)
        self._net = {"mean": scaled.obs_rms.mean, "deviation": deviation}
        for number, (kernel, bias) in enumerate(self._layers(model)):
            self._net |= {f"kernel_{number}": kernel, f"bias_{number}": bias}
        self._net = {name: np.array(values, np.float32) for name, values in self._net.items()}

    @property
    def can_act(self) -> bool:
        """Whether it has a net."""
        return bool(self._net)

    def plan(self, request: PlanRequest) -> Int64:
        """Return the most probable plan for each of B members, [B].

        Raises:
            RuntimeError: the planner has not learned yet.
        """
        return np.asarray(self.plan_scores(request).argmax(axis=1), np.int64)

    def plan_scores(self, request: PlanRequest) -> Float32:
        """Return the logit of every plan, [B, O].

        Raises:
            RuntimeError: the planner has not learned yet.
        """
        net = self.state()
        x = (self.inputs(request) - net["mean"]) / net["deviation"]
        x = np.clip(x, -_MOST_INPUT, _MOST_INPUT)
        for number in range(_LAYERS - 1):
            x = np.tanh(x @ net[f"kernel_{number}"] + net[f"bias_{number}"])
        return np.asarray(x @ net[f"kernel_{_LAYERS - 1}"] + net[f"bias_{_LAYERS - 1}"], np.float32)

    def state(self) -> dict[str, Any]:
        """Return the net's arrays.

        Raises:
            RuntimeError: the planner has not learned yet.
        """
        if not self._net:
            raise NotTrainedError("the planner has no net; call learn or load first")
        return dict(self._net)

    @classmethod
    def from_state(
        cls, world: World, settings: Any, state: Mapping[str, Any], **parts: Any
    ) -> Self:
        """Rebuild a planner from :meth:`state`.

        Raises:
            ValueError: the arrays are not those of a planner of this world.
        """
        first, last = state.get("kernel_0"), state.get(f"bias_{_LAYERS - 1}")
        inputs, plans = len(weekly_features(world)), len(world.plans)
        if first is None or last is None or (len(first), len(last)) != (inputs, plans):
            raise ValueError(f"the net does not fit {inputs} features and {plans} plans")
        planner = cls(settings).prepare(world)
        planner._net = {name: np.array(values, np.float32) for name, values in state.items()}
        return planner


class SB3PPO(_PeerPPO):
    """Plans by Stable-Baselines3's PPO with its default settings."""

    name = "sb3_ppo"

    def _algorithm(self) -> Any:
        from stable_baselines3 import PPO  # imports torch

        return PPO

    def _layers(self, model: Any) -> list[tuple[Any, Any]]:
        policy = model.policy
        hidden = [layer for layer in policy.mlp_extractor.policy_net if hasattr(layer, "weight")]
        return [
            (layer.weight.detach().cpu().numpy().T, layer.bias.detach().cpu().numpy())
            for layer in (*hidden, policy.action_net)
        ]


class SbxPPO(_PeerPPO):
    """Plans by the PPO of sbx (Stable-Baselines3 in JAX) with its default settings."""

    name = "sbx_ppo"

    def _algorithm(self) -> Any:
        try:
            from sbx import PPO
        except ImportError as error:
            raise ImportError("sbx is missing: pip install 'slowfast_rl[bench]'") from error
        return PPO

    def _layers(self, model: Any) -> list[tuple[Any, Any]]:
        layers = model.policy.actor_state.params["params"]
        names = sorted(name for name in layers if name.startswith("Dense"))
        return [(layers[name]["kernel"], layers[name]["bias"]) for name in names]
