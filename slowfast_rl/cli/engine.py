"""Where a command's jobs run: in its own process, or on Ray."""

from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from importlib import import_module

from slowfast_rl.cli.schema import limited

ENGINES = ("local", "ray")


@dataclass(frozen=True, kw_only=True)
class EngineSettings:
    """Settings of commands whose work splits into independent jobs; no result depends on them."""

    engine: str = limited(choices=ENGINES)
    workers: int | None = limited(low=1, high=100_000)

    def check_engine(self) -> None:
        """Raise ValueError for workers that nothing would use, and ImportError without Ray."""
        if self.engine == "ray":
            import_module("slowfast_rl.policies.ray_workers")  # needs an extra: fail early
        elif self.workers is not None:
            raise ValueError(
                f"workers is {self.workers} with engine={self.engine}; allowed is null, or "
                "engine=ray"
            )

    def use_engine(self) -> AbstractContextManager[object]:
        """Return a context in which jobs run where the settings say."""
        if self.engine == "local":
            return nullcontext()
        from slowfast_rl.policies.ray_workers import ray_workers

        return ray_workers(self.workers)
