"""Day weights of pacing shapes, and the slots left in a week counted by these weights."""

import numpy as np
from numba import types

from slowfast_rl.members import numerics
from slowfast_rl.members.arrays import Float32, Int32, Integer, UInt32
from slowfast_rl.members.compile import driver, kernel
from slowfast_rl.members.constants import schedule
from slowfast_rl.members.features import per_world
from slowfast_rl.members.numerics import ONE
from slowfast_rl.members.opportunity import Opportunity
from slowfast_rl.members.population import Population
from slowfast_rl.members.state import EW4
from slowfast_rl.members.world import World

_LAUNCH, _ACTIVITY = 7, 8  # columns of a shape's row: day [7], launch, activity [7]
_FLOATS = types.Array(types.float32, 2, "C")
_VECTOR = types.Array(types.float32, 1, "C")
_INTEGERS = types.Array(types.int32, 1, "C")
_SLOTS = types.Array(types.uint32, 1, "C")
_schedule = per_world(schedule)


@kernel
def put_day_weights(
    shape: Float32, launches: Float32, monday: Integer, viewing: np.float32, weights: Float32
) -> None:
    """Fill ``weights`` [7] for the week from day ``monday`` on; the largest weight is 1."""
    most = np.float32(-np.inf)
    for d in range(7):
        total = np.float32(0)
        for topic in range(launches.shape[1]):
            total += launches[monday + d, topic]
        weights[d] = shape[d] + shape[_LAUNCH] * total + shape[_ACTIVITY + d] * viewing
        most = max(most, weights[d])
    for d in range(7):
        weights[d] = numerics.exp(weights[d] - most)


@driver(types.void(_FLOATS, _INTEGERS, _FLOATS, _INTEGERS, _VECTOR, _FLOATS))
def fill_day_weights(
    table: Float32, shape: Int32, launches: Float32, week: Int32, viewing: Float32, out: Float32
) -> None:
    """Fill out [N, 7] with the day weights of shapes [N].

    Row h of ``table`` [H, 15] is the shape of id h + 1; any other id, such as 0, is uniform.
    """
    for i in range(out.shape[0]):
        number = shape[i] - 1
        if 0 <= number < table.shape[0]:
            put_day_weights(table[number], launches, week[i] * 7, viewing[i], out[i])
        else:
            for d in range(7):
                out[i, d] = ONE


@driver(types.void(_SLOTS, _SLOTS, _FLOATS, types.boolean, _FLOATS))
def fill_weighed_slots(
    channel: UInt32, weekday: UInt32, weights: Float32, whole_week: bool, out: Float32
) -> None:
    """Fill out [N, S]; see :func:`pacing_parameters`."""
    slots = channel.shape[0]
    for i in range(out.shape[0]):
        for s in range(slots - 1, -1, -1):
            total = weights[i, weekday[s]]
            for later in range(s + 1, slots):
                if channel[later] == channel[s]:
                    total += out[i, later]
                    break
            out[i, s] = total
        if whole_week:
            for s in range(slots):
                for earlier in range(s):
                    if channel[earlier] == channel[s]:
                        out[i, s] = out[i, earlier]
                        break
        for s in range(slots):
            out[i, s] /= weights[i, weekday[s]]


@kernel
def weighed_slots(
    opportunity: Opportunity, pacing: Float32, first: Integer, unweighed: Integer
) -> np.float32:
    """Return the channel's slots counted by day weights, or ``unweighed`` if there are no weights.

    ``first`` is the length of a week's parameters without weights; see :func:`pacing_parameters`.
    """
    if pacing.shape[0] <= first:
        return np.float32(unweighed)
    own = np.uint64(first) + np.uint64(opportunity.row) * np.uint64(pacing[0])
    weighed: np.float32 = pacing[own + np.uint64(opportunity.slot)]
    return weighed


def pacing_parameters(
    world: World, own: Float32, weights: Float32 | None, *, whole_week: bool = False
) -> Float32:
    """Return a jitted pacer's parameters for a week: S, its own, then one number per slot [N, S].

    The number of a slot is the sum of the weights of the slots that are left on its channel, itself
    included, divided by its own weight. With equal weights it is the number of slots left.

    Args:
        world: the world, for its schedule.
        own: [W] the pacer's own parameters.
        weights: [N, 7] day weights; None if every plan is uniform, which leaves these numbers out.
        whole_week: whether to sum over all slots of the week, not only those that are left.
    """
    head = np.empty(1 + len(own), np.float32)  # fast, as a single decision needs it too
    head[0], head[1:] = world.slots_per_week, own
    if weights is None:
        return head
    slots = np.empty((len(weights), world.slots_per_week), np.float32)
    plan = _schedule(world)
    fill_weighed_slots(plan.channel, plan.weekday, weights, whole_week, slots)
    return np.concatenate([head, slots.ravel()])


def day_weights(
    world: World, shape: Int32, launches: Float32, week: Int32, viewing: Float32
) -> Float32 | None:
    """Return the weights of each weekday, [N, 7], or None where every shape is uniform.

    Args:
        world: the world that offers the shapes.
        shape: [N] pacing shape ids; an id that the world does not offer is uniform.
        launches: [days, D] launch intensity.
        week: [N] the week of each member in the launch calendar.
        viewing: [N] viewing days a week, averaged over about 4 weeks.
    """
    if not world.shapes or not shape.any():
        return None
    weights = np.empty((len(shape), 7), np.float32)
    fill_day_weights(
        _table(world),
        np.array(shape, np.int32),  # copies: kernels take no read-only arrays
        launches,
        np.array(week, np.int32),
        np.array(viewing, np.float32),
        weights,
    )
    return weights


def week_weights(population: Population, shape: Int32 | int) -> Float32 | None:
    """Return the :func:`day_weights` of the week that begins.

    Args:
        population: N members at the beginning of a week.
        shape: pacing shape id, a scalar or [N].
    """
    population.keep_calendar()
    simulation = population.simulation
    shapes = np.broadcast_to(np.asarray(shape, np.int32), (population.num_members,))
    viewing = simulation.log.by_member[:, EW4]
    return day_weights(
        population.world, shapes, simulation.launches, simulation.state.week, viewing
    )


@per_world
def _table(world: World) -> Float32:
    rows = [(*shape.day, shape.launch, *shape.activity) for shape in world.shapes]
    return np.array(rows, np.float32)
