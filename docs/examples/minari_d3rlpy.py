"""A Minari dataset of logged weeks, and discrete conservative Q-learning from it with d3rlpy.

The logged policy chooses feasible plans at random. Episodes of the vector environment are built as
``EpisodeBuffer``, because Minari's ``DataCollector`` records a single environment.

    pip install "minari[hdf5]" d3rlpy==2.8.0
    python docs/examples/minari_d3rlpy.py --num-envs 1024 --steps 20000
"""

import argparse

import d3rlpy
import gymnasium as gym
import minari
import numpy as np
from minari.data_collector import EpisodeBuffer

import slowfast_rl  # noqa: F401, registers the environments

FIELDS = ("observations", "actions", "rewards", "terminations", "truncations")
parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
parser.add_argument("--steps", type=int, default=20_000, help="gradient steps")
parser.add_argument("--num-envs", type=int, default=1024, help="members in the log")
parser.add_argument("--weeks", type=int, default=104, help="length of an episode")
args = parser.parse_args()

settings = {"id": "slowfast_rl/Pacing-v0", "weeks": args.weeks}
envs, random = gym.make_vec(num_envs=args.num_envs, **settings), np.random.default_rng(0)
obs, info = envs.reset(seed=0)
episodes, running = [], [EpisodeBuffer(observations=[x], actions=[]) for x in obs]
for week in range(args.weeks):
    mask = info["action_mask"]
    actions = (random.random(mask.shape) * mask).argmax(axis=1)
    obs, rewards, terminated, truncated, info = envs.step(actions)
    following, ended = obs.copy(), terminated | truncated
    for row in np.flatnonzero(ended):
        following[row] = info["final_obs"][row]  # obs[row] is another member's
    truncated = ~terminated & (truncated | (week == args.weeks - 1))  # the log ends
    columns = (following, actions, rewards, terminated, truncated)
    for row, log in enumerate(running):
        for field, column in zip(FIELDS, columns, strict=True):
            getattr(log, field).append(column[row])
        if terminated[row] or truncated[row]:
            episodes.append(log)
            running[row] = EpisodeBuffer(observations=[obs[row]], actions=[])

name = "slowfast_rl/pacing/random-v0"
if name in minari.list_local_datasets():
    minari.delete_dataset(name)
dataset = minari.create_dataset_from_buffers(name, episodes, env=gym.make(**settings).spec)
print(f"{dataset.total_episodes} episodes of {dataset.total_steps} weeks in {name}")
weeks = [np.concatenate([getattr(log, field)[: len(log)] for log in dataset]) for field in FIELDS]
size = int(envs.single_action_space.n)  # said, because the last plan may not occur in a short log
offline = d3rlpy.dataset.MDPDataset(*weeks, action_size=size)
scaler = d3rlpy.preprocessing.StandardObservationScaler()
cql = d3rlpy.algos.DiscreteCQLConfig(gamma=0.98, learning_rate=3e-4, observation_scaler=scaler)
held_out = gym.make(**settings, population_seed=7)
evaluators = {"return": d3rlpy.metrics.EnvironmentEvaluator(held_out, n_trials=100)}
cql.create().fit(offline, args.steps, args.steps // 4, evaluators=evaluators)
