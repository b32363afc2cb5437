"""Draw the candidates of a block of members, so that the processor draws several at once."""

import numpy as np

from slowfast_rl.members import dynamics
from slowfast_rl.members.arrays import Float32, Integer, UInt8, UInt32
from slowfast_rl.members.compile import kernel
from slowfast_rl.members.random import CANDIDATE, philox
from slowfast_rl.members.scratch import BLOCK, float_lane, word_lane


def block_workspace(num_candidates: int) -> tuple[UInt8, Float32]:
    """Return new arrays [K, BLOCK] for the topics and the qualities of a block's candidates."""
    size = num_candidates, BLOCK
    return np.empty(size, np.uint8), np.empty(size, np.float32)


@kernel
def draw_block_candidates(
    seed: Integer,
    stream: UInt32,
    member: UInt32,
    time: UInt32,
    size: int,
    num_topics: Integer,
    topics: UInt8,
    qualities: Float32,
) -> None:
    """Draw the candidates of L members; see ``opportunity.draw_candidates`` for one member.

    Args:
        seed: the luck seed.
        stream: [L] luck streams.
        member: [L] ids.
        time: [L] slots since each member's episode began.
        size: L, at most BLOCK.
        num_topics: D.
        topics: [K, BLOCK] filled with the candidates' topics.
        qualities: [K, BLOCK] filled with the candidates' qualities.
    """
    first, second, third, fourth = word_lane(), word_lane(), word_lane(), word_lane()
    topic, quality = word_lane(), float_lane()
    for j in range(topics.shape[0]):
        if not j & 3:
            for k in range(size):
                first[k], second[k], third[k], fourth[k] = philox(
                    seed, stream[k], member[k], time[k], j >> 2, CANDIDATE
                )
        low, high = (second, fourth) if j & 1 else (first, third)
        word = high if j & 2 else low
        for k in range(size):
            topic[k], quality[k] = dynamics.candidate(num_topics, word[k])
        for k in range(size):
            topics[j, k] = topic[k]
            qualities[j, k] = quality[k]
