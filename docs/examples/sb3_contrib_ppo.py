"""Two algorithms of sb3-contrib: plans that a member cannot receive are masked; a policy remembers.

``MaskablePPO`` asks the environment's ``action_masks`` which plans are feasible: after an opt-out,
a plan with targets on that channel is not. ``RecurrentPPO`` has an LSTM, which may infer from a
member's past weeks what an observation does not show, such as how sensitive to fatigue it is.

    pip install sb3-contrib
    python docs/examples/sb3_contrib_ppo.py --steps 1000000
"""

import argparse

import gymnasium as gym
import numpy as np
from sb3_contrib import MaskablePPO, RecurrentPPO
from sb3_contrib.common.maskable.evaluation import evaluate_policy as evaluate_masked
from stable_baselines3.common.evaluation import evaluate_policy

import slowfast_rl
from slowfast_rl.envs import SB3VecEnv


def make(num_envs: int, weeks: int, population_seed: int) -> SB3VecEnv:
    """Return members in parallel as a ``VecEnv``."""
    envs = gym.make_vec(
        "slowfast_rl/Pacing-v0", num_envs=num_envs, weeks=weeks, population_seed=population_seed
    )
    return SB3VecEnv(envs)


def main() -> None:
    """Train both, and print their returns on held-out members."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--steps", type=int, default=1_000_000, help="weeks to train on")
    parser.add_argument("--num-envs", type=int, default=256, help="members in parallel")
    parser.add_argument("--weeks", type=int, default=104, help="length of an episode")
    args = parser.parse_args()

    gamma = slowfast_rl.load_world("pronounced").reward.weekly_discount
    settings = {"n_steps": 32, "batch_size": 4 * args.num_envs, "gamma": gamma, "seed": 0}
    for algorithm, policy, evaluate in (
        (MaskablePPO, "MlpPolicy", evaluate_masked),
        (RecurrentPPO, "MlpLstmPolicy", evaluate_policy),
    ):
        model = algorithm(policy, make(args.num_envs, args.weeks, population_seed=0), **settings)
        model.learn(args.steps)
        held_out = make(args.num_envs, args.weeks, population_seed=7)
        returns, _ = evaluate(model, held_out, args.num_envs, return_episode_rewards=True)
        print(f"{algorithm.__name__}: {np.mean(returns):.2f} viewing days in {args.weeks} weeks")


if __name__ == "__main__":
    main()
