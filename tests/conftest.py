"""Settings for every test."""

from hypothesis import settings

# The first example of a kernel's test compiles the kernel.
settings.register_profile("slowfast_rl", deadline=None)
settings.load_profile("slowfast_rl")
