"""Two-level reinforcement learning for messaging: a slow policy plans, a fast one sends."""
