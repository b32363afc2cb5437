"""What planners and executors that learn by Stable-Baselines3's PPO have in common."""

from dataclasses import dataclass
from typing import Any

from slowfast_rl.policies.settings import Settings, device_setting, setting

ENDLESS = 2**40  # rollouts, where CPU time is the budget
LEAST_ROLLOUTS = 4  # with fewer, a policy hardly moves
_SB3_SETTINGS = (  # that Stable-Baselines3's PPO gets unchanged
    "n_steps", "n_epochs", "learning_rate", "gae_lambda", "ent_coef", "device",
)  # fmt: skip


@dataclass(frozen=True, kw_only=True)
class SharedPPOSettings(Settings):
    """Settings of every PPO learner; it declares those with other defaults or units again."""

    num_envs: int = setting(2048, "members simulated in parallel", low=1, high=2**24)
    weeks: int = setting(112, "length of an episode (weeks)", low=1, high=2**16)
    n_steps: int = setting(32, "steps per member between updates", low=1, high=2**24)
    batch_size: int = setting(8192, "steps in a gradient step", low=2, high=2**31)
    n_epochs: int = setting(2, "passes over a rollout", low=1, high=1000)
    learning_rate: float = setting(1e-3, "learning rate of Adam", low=0, high=1)
    gae_lambda: float = setting(
        1.0,
        "1 uses the Monte Carlo return; bootstrapped values favour fewer sends, because members "
        "are observed only in part",
        low=0,
        high=1,
    )
    ent_coef: float = setting(0.0, "weight of the entropy bonus", low=0, high=1e6)
    hidden: int = setting(64, "width of the nets", low=1, high=4096)
    device: str = device_setting()

    def __post_init__(self) -> None:
        """Check every field, and that advantages have a spread: a rollout has two steps or more.

        Raises:
            ValueError: a value is outside its bounds, or a rollout has a single step.
        """
        super().__post_init__()
        if self.num_envs * self.n_steps < 2:
            raise ValueError("num_envs and n_steps are both 1; one must be 2 or more")


def sb3_arguments(settings: Any, num_envs: int) -> dict[str, Any]:
    """Return the settings of a PPO learner as Stable-Baselines3's PPO takes them.

    Batches are at most as large as the setting says, and all of one size where the rollout of
    ``num_envs`` members can be divided so without making more than twice as many.
    """
    steps = num_envs * settings.n_steps
    count = -(-steps // settings.batch_size)
    even = next((k for k in range(count, 2 * count + 1) if steps % k == 0), None)
    batch_size = steps // even if even else min(settings.batch_size, steps)
    return {name: getattr(settings, name) for name in _SB3_SETTINGS} | {"batch_size": batch_size}
