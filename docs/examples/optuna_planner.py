"""Optuna searches a planner's learning rate.

Each trial trains the planner with its own learning rate. Its score is the return on members that no
trial trains on. They are not the members of the leaderboard either: those stay unseen until the
search is over.

    pip install optuna
    python docs/examples/optuna_planner.py --steps 20000000 --trials 20
"""

import argparse

import optuna

import slowfast_rl as sf


def main() -> None:
    """Search, and print the best learning rate."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--steps", type=int, default=20_000_000, help="opportunities of a trial")
    parser.add_argument("--trials", type=int, default=20)
    parser.add_argument("--num-envs", type=int, default=1024, help="members in parallel")
    parser.add_argument("--weeks", type=int, default=104, help="length of an episode")
    args = parser.parse_args()

    world = sf.load_world("pronounced")
    protocol = sf.EvaluationProtocol(
        num_members=args.num_envs, weeks=args.weeks, population_seed=7, luck_seed=7
    )

    def objective(trial: optuna.Trial) -> float:
        planner = sf.slow.PPOPlanner(
            learning_rate=trial.suggest_float("learning_rate", 1e-5, 1e-2, log=True),
            num_envs=args.num_envs,
            weeks=args.weeks,
            n_steps=min(args.weeks, 32),
        )
        agent = sf.SlowFastAgent(slow=planner)
        agent.learn(world, total_opportunities=args.steps, seed=0)
        board = sf.compare([agent], world, protocol, progress=False)
        return board.row(agent.name)["return"]

    study = optuna.create_study(direction="maximize", sampler=optuna.samplers.TPESampler(seed=0))
    study.optimize(objective, n_trials=args.trials)
    print(f"best of {args.trials} trials: {study.best_params}, return {study.best_value:.2f}")


if __name__ == "__main__":
    main()
