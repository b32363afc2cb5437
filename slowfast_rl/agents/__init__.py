"""Whole agents."""

from slowfast_rl.agents.flat import FlatPPOAgent
from slowfast_rl.agents.slowfast import SlowFastAgent
from slowfast_rl.agents.threshold import ThresholdAgent

__all__ = ["FlatPPOAgent", "SlowFastAgent", "ThresholdAgent"]
