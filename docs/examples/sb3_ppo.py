"""Stable-Baselines3 PPO on weekly plans, evaluated on members that it does not train on.

Observations and rewards are normalized by running statistics (``VecNormalize``). ``EvalCallback``
plays members of another population seed and keeps the best policy so far.

    pip install stable-baselines3
    python docs/examples/sb3_ppo.py --steps 1000000
"""

import argparse

import gymnasium as gym
from stable_baselines3 import PPO
from stable_baselines3.common.callbacks import EvalCallback
from stable_baselines3.common.vec_env import VecNormalize

import slowfast_rl  # registers the environments
from slowfast_rl.envs import SB3VecEnv

DISCOUNT = slowfast_rl.load_world("pronounced").reward.weekly_discount


def make(num_envs: int, weeks: int, population_seed: int, *, training: bool) -> VecNormalize:
    """Return normalized members; those of an evaluation keep their rewards in viewing days."""
    envs = gym.make_vec(
        "slowfast_rl/Pacing-v0", num_envs=num_envs, weeks=weeks, population_seed=population_seed
    )
    return VecNormalize(SB3VecEnv(envs), training, norm_reward=training, gamma=DISCOUNT)


def main() -> None:
    """Train, and print the return of each evaluation."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--steps", type=int, default=1_000_000, help="weeks to train on")
    parser.add_argument("--num-envs", type=int, default=256, help="members in parallel")
    parser.add_argument("--weeks", type=int, default=104, help="length of an episode")
    args = parser.parse_args()

    envs = make(args.num_envs, args.weeks, population_seed=0, training=True)
    held_out = make(args.num_envs, args.weeks, population_seed=7, training=False)
    evaluation = EvalCallback(
        held_out,
        n_eval_episodes=args.num_envs,
        eval_freq=max(args.steps // args.num_envs // 5, 1),
        log_path="runs/sb3_ppo",
        best_model_save_path="runs/sb3_ppo",
    )
    model = PPO("MlpPolicy", envs, n_steps=32, batch_size=4 * args.num_envs, gamma=DISCOUNT, seed=0)
    model.learn(args.steps, callback=evaluation)
    envs.save("runs/sb3_ppo/normalization.pkl")  # a policy is useless without its normalization


if __name__ == "__main__":
    main()
