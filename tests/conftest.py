"""Settings for every test."""

from hypothesis import HealthCheck, settings

# The first example of a kernel's test compiles the kernel, and a busy machine makes any example
# slow: neither says anything about what is tested.
settings.register_profile(
    "slowfast_rl", deadline=None, suppress_health_check=[HealthCheck.too_slow]
)
settings.load_profile("slowfast_rl")
