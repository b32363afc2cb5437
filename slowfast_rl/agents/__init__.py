"""Whole agents."""

from slowfast_rl.agents.base import Agent
from slowfast_rl.agents.single import SinglePolicyAgent
from slowfast_rl.agents.slowfast import SlowFastAgent
from slowfast_rl.agents.threshold import ThresholdAgent

__all__ = ["Agent", "SinglePolicyAgent", "SlowFastAgent", "ThresholdAgent"]
