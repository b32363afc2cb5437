"""The planners' door: settings and weights are checked as for every learner."""

from slowfast_rl.envs.settings import check_device, check_settings, check_weights

__all__ = ["check_device", "check_settings", "check_weights"]
