"""PPO in a single file, on the vector environment with same-step autoreset.

A truncation bootstraps the value of ``final_obs``; a termination, a churn, bootstraps nothing.

    python docs/examples/single_file_ppo.py --steps 1000000
"""

import argparse

import gymnasium as gym
import numpy as np
import torch
from torch.distributions import Categorical
from torch.nn import Linear, Sequential, Tanh

import slowfast_rl  # noqa: F401, registers the environments

parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
for name, default in (("--steps", 1_000_000), ("--num-envs", 256), ("--weeks", 104)):
    parser.add_argument(name, type=int, default=default)
args = parser.parse_args()
N, T, GAMMA, LAMBDA = args.num_envs, 32, 0.98, 0.95
torch.manual_seed(0)
envs = gym.make_vec("slowfast_rl/Pacing-v0", num_envs=N, weeks=args.weeks)
F, sizes = envs.single_observation_space.shape[0], (envs.single_action_space.n, 1)
actor, critic = (Sequential(Linear(F, 64), Tanh(), Linear(64, size)) for size in sizes)
adam = torch.optim.Adam([*actor.parameters(), *critic.parameters()], 1e-3)
x, info = envs.reset(seed=0)
for update in range(max(args.steps // (N * T), 1)):
    steps, mean = [], 0.0
    for _ in range(T):
        obs, mask = torch.as_tensor(x), torch.as_tensor(info["action_mask"] == 1)
        with torch.no_grad():
            policy = Categorical(logits=actor(obs).masked_fill(~mask, -1e9))
            action = policy.sample()
            x, reward, terminated, truncated, info = envs.step(action.numpy())
            following, ended = x.copy(), terminated | truncated
            for row in np.flatnonzero(ended):
                following[row] = info["final_obs"][row]  # x[row] is another member's
            value, after = critic(obs)[:, 0], critic(torch.as_tensor(following))[:, 0]
            delta = torch.as_tensor(reward + GAMMA * after.numpy() * ~terminated) - value
        mean += reward.mean() / T
        steps.append([obs, mask, action, policy.log_prob(action), value, delta, ~ended])
    advantage = torch.zeros(N)
    for step in reversed(steps):  # each becomes: obs, mask, action, log_prob, target, advantage
        advantage = step[5].float() + GAMMA * LAMBDA * torch.as_tensor(step[6]) * advantage
        step[4:] = step[4] + advantage, advantage
    batch = [torch.cat(column) for column in zip(*steps, strict=True)]
    batch[5] = (batch[5] - batch[5].mean()) / (batch[5].std() + 1e-8)
    for rows in (r for _ in range(4) for r in torch.randperm(N * T).split(4 * N)):
        obs, mask, action, old, target, advantage = (column[rows] for column in batch)
        policy = Categorical(logits=actor(obs).masked_fill(~mask, -1e9))
        ratio = (policy.log_prob(action) - old).exp()
        loss = torch.max(-ratio * advantage, -ratio.clamp(0.8, 1.2) * advantage).mean()
        loss += 0.5 * (critic(obs)[:, 0] - target).square().mean()
        adam.zero_grad()
        loss.backward()
        adam.step()
    print(f"update {update}: loss {loss:.3f}, {mean:.3f} viewing days a week")
