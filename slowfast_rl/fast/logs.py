"""Randomised logs: what random candidates, sent at random times, brought."""

import numpy as np

from slowfast_rl.members.arrays import Float32
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

    Args:
        world: the world.
        num_members: members of population ``seed``.
        weeks: weeks to log.
        seed: of population, luck and exploration.
    """
    population = Population(world, num_members, seed, seed)
    names = [feature.name for feature in week_features(world) + slot_features(world)]
    topics = range(world.num_topics)
    columns = {
        part: [names.index(f"topic_{d}_{part}") for d in topics]
        for part in ("sends", "opens", "days_since_send")
    }
    candidates = range(1, world.num_candidates + 1)
    quality = [names.index(f"candidate_{j}_quality") for j in candidates]
    launched = [names.index(f"candidate_{j}_launch_flag") for j in candidates]
    first_topic = np.array([names.index(f"candidate_{j}_is_topic_0") for j in candidates])
    rows = np.arange(num_members)
    logs = []
    for time in range(weeks * world.slots_per_week):
        signals = slot_signals(population)
        words = random_words(
            seed, 0, population.members, np.full(num_members, time), Domain.EXPLORATION
        )
        channel = world.schedule[population.slot].channel
        send = (words / 2**32 < _SEND_SHARE) & population.opted_in[:, channel] & population.alive
        choice = words.astype(np.int64) % world.num_candidates  # [N]
        _, events = population.step(np.where(send, choice + 1, 0))
        is_topic = signals[
            rows[:, None], first_topic[choice][:, None] + np.arange(world.num_topics)
        ]
        topic = is_topic.argmax(axis=1)
        by_topic = {part: signals[:, index] for part, index in columns.items()}  # [N, D]
        logs.append(
            np.stack(
                [
                    np.full(num_members, channel),
                    signals[rows, np.array(quality)[choice]],
                    signals[rows, np.array(launched)[choice]],
                    by_topic["sends"][rows, topic],
                    by_topic["opens"][rows, topic],
                    by_topic["days_since_send"][rows, topic],
                    by_topic["sends"].sum(axis=1),
                    by_topic["opens"].sum(axis=1),
                    events.opened,
                ],
                axis=1,
            ).astype(np.float32)[send]
        )
    return np.concatenate(logs)
