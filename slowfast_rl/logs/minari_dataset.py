"""Write a log as a dataset of Minari. Needs the extra ``minari``."""

import re
import warnings
from collections.abc import Callable

import gymnasium as gym
import numpy as np

from slowfast_rl.logs.episodes import LEVELS
from slowfast_rl.logs.reading import EventLog

try:
    import minari
    from minari.data_collector import EpisodeBuffer
except ImportError as error:
    raise ImportError(
        "a dataset of Minari needs minari: pip install 'slowfast_rl[minari]'"
    ) from error

_NAME = re.compile(r"([\w-]+/)*[\w-]+-v\d+")


def write_minari(
    log: EventLog,
    dataset: str,
    level: str = "weekly",
    *,
    progress: Callable[[int], object] | None = None,
) -> "minari.MinariDataset":
    """Write the episodes of a log's members as a dataset of Minari, and return it.

    Episodes are held in memory until they are written. Minari keeps datasets in ``~/.minari`` or
    in the folder that ``MINARI_DATASETS_PATH`` names.

    Args:
        log: a log without errors.
        dataset: name of the dataset, as Minari has it: "<namespace>/<name>-v<number>".
        level: "weekly" for plans as actions, or "messages".
        progress: called after each member's episode with the number of episodes so far.

    Raises:
        ValueError: the level or the name is not allowed, there is a dataset of this name, or the
            log lacks what observations need.
    """
    if level not in LEVELS:
        raise ValueError(f"level is {level!r}; allowed: {', '.join(LEVELS)}")
    if not _NAME.fullmatch(dataset):
        raise ValueError(f"dataset is {dataset!r}; allowed is <namespace>/<name>-v<number>")
    if dataset in minari.list_local_datasets():
        raise ValueError(f"dataset {dataset!r} exists; allowed is a new name")
    buffers = []
    for number, episode in enumerate(LEVELS[level](log)):
        ends = np.zeros((2, len(episode.actions)), np.bool_)  # terminated, truncated
        ends[int(not episode.churned), -1] = True
        buffers.append(
            EpisodeBuffer(
                id=number,
                observations=list(episode.observations),
                actions=list(episode.actions),
                rewards=episode.rewards.tolist(),
                terminations=ends[0].tolist(),
                truncations=ends[1].tolist(),
            )
        )
        if progress is not None:
            progress(number + 1)
    if not buffers:
        raise ValueError(f"{log.folder} has no episode")
    world = log.world
    actions = len(world.plans) if level == "weekly" else 1 + world.num_candidates
    width = buffers[0].observations[0].shape
    with warnings.catch_warnings():  # that a log has no author, code or environment
        warnings.filterwarnings("ignore", category=UserWarning, module="minari")
        return minari.create_dataset_from_buffers(
            dataset,
            buffers,
            observation_space=gym.spaces.Box(-np.inf, np.inf, width, np.float32),
            action_space=gym.spaces.Discrete(actions),
            algorithm_name="logged policy",
            description=f"Members of a log, one episode each, {level}; world {world.name}.",
        )
