"""Randomised logs: what random candidates, sent at random times, brought."""

import numpy as np

from slowfast_rl.members.arrays import Float32, Int64
from slowfast_rl.members.population import Population
from slowfast_rl.members.random import Domain, random_words
from slowfast_rl.members.signals import slot_features, slot_signals, week_features
from slowfast_rl.members.world import World

LOG_COLUMNS = (
    "channel", "quality", "launched", "topic_sends", "topic_opens", "topic_days", "sends", "opens",
    "opened",
)  # fmt: skip
_SEND_SHARE = 0.25  # of opportunities


def collect_logs(world: World, num_members: int, weeks: int, seed: int) -> Float32:
    """Return one row of ``LOG_COLUMNS`` per send, [B, 9], as known at the moment of the send.

    Rows are in order of time, then of member. Counts are since the start: of the candidate's
    topic, and over all topics.

    Args:
        world: the world.
        num_members: members of population ``seed``.
        weeks: weeks to log, 1 or more.
        seed: of population, luck and exploration.
    """
    if weeks < 1:
        raise ValueError(f"weeks is {weeks}; allowed is 1 or more")
    population = Population(world, num_members, seed, seed)
    known = _Known(world)
    logs = []
    for time in range(weeks * world.slots_per_week):
        words = random_words(
            seed, 0, population.members, np.full(num_members, time), Domain.EXPLORATION
        )
        channel = world.schedule[population.slot].channel
        send = (words / 2**32 < _SEND_SHARE) & population.opted_in[:, channel] & population.alive
        choice = words.astype(np.int64) % world.num_candidates  # [N], by the word's low bits
        signals = slot_signals(population)
        _, events = population.step(np.where(send, choice + 1, 0))
        before = known.of(signals[send], choice[send])
        logs.append(np.column_stack([np.full(len(before), channel), before, events.opened[send]]))
    return np.concatenate(logs).astype(np.float32)


class _Known:
    """Reads, from signals at a slot, what is known of one candidate each."""

    def __init__(self, world: World) -> None:
        names = [feature.name for feature in week_features(world) + slot_features(world)]
        topics, candidates = range(world.num_topics), range(1, world.num_candidates + 1)

        def columns(pattern: str, numbers: range) -> Int64:
            return np.array([names.index(pattern.format(n)) for n in numbers])

        self._sends = columns("topic_{}_sends", topics)  # [D]
        self._opens = columns("topic_{}_opens", topics)
        self._days = columns("topic_{}_days_since_send", topics)
        self._quality = columns("candidate_{}_quality", candidates)  # [K]
        self._launched = columns("candidate_{}_launch_flag", candidates)
        self._is_topic = columns("candidate_{}_is_topic_0", candidates)[:, None] + topics  # [K, D]

    def of(self, signals: Float32, choice: Int64) -> Float32:
        """Return quality to opens of ``LOG_COLUMNS`` for candidates ``choice``, [B, 7]."""
        rows = np.arange(len(signals))
        topic = signals[rows[:, None], self._is_topic[choice]].argmax(axis=1)
        return np.stack(
            [
                signals[rows, self._quality[choice]],
                signals[rows, self._launched[choice]],
                signals[rows, self._sends[topic]],
                signals[rows, self._opens[topic]],
                signals[rows, self._days[topic]],
                signals[:, self._sends].sum(axis=1),
                signals[:, self._opens].sum(axis=1),
            ],
            axis=1,
        )
