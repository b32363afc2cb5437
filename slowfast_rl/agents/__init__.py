"""Whole agents."""

from slowfast_rl.agents.slowfast import SlowFastAgent

__all__ = ["SlowFastAgent"]
