"""The simulated world: members, their dynamics, random numbers, logs and observations."""
