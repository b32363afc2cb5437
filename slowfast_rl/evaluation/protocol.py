"""The evaluation protocol: members, weeks, seeds and luck streams of an evaluation."""

from dataclasses import dataclass, replace
from typing import Self

from slowfast_rl.evaluation.statistics import quantile_groups
from slowfast_rl.members.arrays import Int64
from slowfast_rl.members.beliefs import BeliefFilter
from slowfast_rl.members.bounds import whole_number
from slowfast_rl.members.population import Population
from slowfast_rl.members.random import check_seeds
from slowfast_rl.members.world import World
from slowfast_rl.slow.branches import burn_in

SEGMENTS = ("casual", "regular", "heavy")
REFERENCE_POPULATION = 2_000_000
SCORING_STREAMS = tuple(range(4))
REFERENCE_STREAMS = tuple(range(4, 16))


@dataclass(frozen=True)
class EvaluationProtocol:
    """The members, weeks and seeds of an evaluation.

    Attributes:
        num_members: N; members 0 to N - 1 of the population are evaluated; 2 or more.
        weeks: number of scored weeks.
        burn_in: number of weeks under random plans before them, excluded from the return.
        population_seed: population seed of the evaluation, on which no agent may be trained.
        luck_seed: luck seed of the evaluation.
        streams: luck streams over which returns are averaged, without repetition.

    Raises:
        ValueError: a value is outside its allowed range.
    """

    num_members: int = 2048
    weeks: int = 104
    burn_in: int = 8
    population_seed: int = 1_000_000
    luck_seed: int = 1_000_000
    streams: tuple[int, ...] = SCORING_STREAMS

    def few(self, num_members: int, lucks: int | None = None) -> Self:
        """Return the protocol of the first members, and of the first lucks or all."""
        size = min(max(num_members, 2), self.num_members)
        return replace(self, num_members=size, streams=self.streams[:lucks])

    def __post_init__(self) -> None:
        """Validate the values."""
        for name, least in (("num_members", 2), ("weeks", 1), ("burn_in", 0)):
            whole_number(name, getattr(self, name), least)
        check_seeds(population_seed=self.population_seed, luck_seed=self.luck_seed)
        if self.population_seed == REFERENCE_POPULATION:
            raise ValueError(
                f"population_seed is {REFERENCE_POPULATION}, on whose members the best fixed plan "
                "was chosen; allowed is any other"
            )
        if not self.streams or len(set(self.streams)) < len(self.streams) or min(self.streams) < 0:
            raise ValueError(f"streams is {self.streams}; allowed: distinct integers from 0")


def check_training_seed(seed: int, protocol: EvaluationProtocol) -> None:
    """Reject a training seed that an evaluation uses.

    Raises:
        ValueError: the seed is a seed of this protocol, of the default protocol or of the reference
            population.
    """
    reserved = {protocol.population_seed, protocol.luck_seed, REFERENCE_POPULATION}
    reserved |= {EvaluationProtocol().population_seed, EvaluationProtocol().luck_seed}
    if seed in reserved:
        raise ValueError(
            f"seed is {seed}, which evaluation uses; allowed is any but {sorted(reserved)}"
        )


def burned_in(
    world: World,
    protocol: EvaluationProtocol,
    stream: int,
    population_seed: int | None = None,
    belief_filter: BeliefFilter | None = None,
) -> Population:
    """Return the population after its burn-in, at the first scored Monday.

    In the burn-in the default executor executes random feasible plans, so that every agent starts
    with the same members in the same state.

    Args:
        world: the world.
        protocol: the evaluation protocol.
        stream: the luck stream.
        population_seed: the population seed, if it is not the protocol's.
        belief_filter: filter that updates beliefs about the members from week 0 on; None for none.
    """
    population = Population(
        world,
        protocol.num_members,
        protocol.population_seed if population_seed is None else population_seed,
        protocol.luck_seed,
        luck_stream=stream,
        belief_filter=belief_filter,
    )
    burn_in(population, protocol.burn_in, protocol.luck_seed, stream)
    return population


def segments(population: Population) -> Int64:
    """Return each member's segment, [N]: tercile of the base rate, 0 (casual) to 2 (heavy)."""
    return quantile_groups(population.simulation.traits.base_rate, len(SEGMENTS))
