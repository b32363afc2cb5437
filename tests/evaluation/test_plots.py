"""Figures: what they draw, where they draw it, and what they refuse."""

import re
import subprocess
import sys
from dataclasses import replace
from importlib.metadata import PackageNotFoundError
from pathlib import Path
from types import SimpleNamespace

import gymnasium as gym
import matplotlib as mpl
import numpy as np
import pytest
from matplotlib import pyplot
from matplotlib.figure import Figure
from numpy.testing import assert_allclose

import slowfast_rl as sf
from slowfast_rl.evaluation import seeds
from slowfast_rl.evaluation.report import agent_figures, headline, write_report
from slowfast_rl.members.loading import load_world
from slowfast_rl.slow.simple import RandomPlanner
from tests.evaluation.cases import TINY, references, small_world, twins

mpl.use("Agg")
THREE_CHANNELS = Path(__file__).parents[1] / "members" / "in_app.yaml"


@pytest.fixture(scope="module")
def agent():
    planner = sf.SlowFastAgent(slow=RandomPlanner(3), fast=sf.fast.PacedExecutor(), name="mine")
    planner.world = small_world()
    return planner


@pytest.fixture(scope="module")
def board(agent):
    return sf.compare(
        [agent, "never", "oracle"], small_world(), TINY, references=references(), twins=twins(),
        progress=False,
    )  # fmt: skip


@pytest.fixture(autouse=True)
def close_figures():
    yield
    pyplot.close("all")


OF_BOARD = {
    "long_term": (), "forest": (), "who_gains": (), "sends_by_segment": (), "sends_and_return": (),
    "plan_map": ("mine",), "plan_reactions": ("mine",),
}  # fmt: skip


@pytest.mark.parametrize("name", OF_BOARD)
def test_a_figure_makes_axes_or_draws_into_those_that_it_is_given(board, name):
    draw = getattr(sf.plots, name)
    assert draw(board, *OF_BOARD[name]).get_title(loc="left")
    ax = Figure().subplots()
    assert draw(board, *OF_BOARD[name], ax=ax) is ax


def test_the_long_term_figure_draws_the_leads_with_their_bands(board):
    ax = sf.plots.long_term(board, ["mine", "never"])
    assert [line.get_label() for line in ax.lines[:2]] == ["mine", "never"]
    assert_allclose(ax.lines[0].get_ydata(), board.lead("mine", cumulative=True)[:, 0])
    assert len(ax.collections) == 2
    assert len({line.get_linestyle() for line in ax.lines[:2]}) == 2  # legible without colour


def test_the_plan_map_shows_shares_of_member_weeks(board):
    (image,) = sf.plots.plan_map(board, "mine").images
    shares = np.asarray(image.get_array())
    assert shares.shape == (3, 2)
    assert_allclose(shares.sum(), 1)
    counts = board.rollouts["mine"].plan_counts.sum(axis=0)
    assert_allclose(shares.ravel(), counts / counts.sum())


def test_a_world_of_three_channels_has_a_plan_map_of_the_first_two(tmp_path):
    world = sf.load_world(THREE_CHANNELS)
    board = sf.compare(["random"], world, sf.EvaluationProtocol(8, 2, 0), progress=False)
    assert sf.plots.plan_map(board, "random").images
    assert write_report(board, tmp_path, "python").is_file()


def test_the_forest_has_an_interval_for_each_agent_best_at_the_top(board):
    labels = [text.get_text() for text in sf.plots.forest(board).get_yticklabels()]
    returns = [board.row(name)["return"] for name in labels]
    assert set(labels) == {"mine", "never", "oracle"} - {board.baseline}
    assert returns == sorted(returns)


def test_a_year_of_a_population_leaves_the_population_as_it_was(agent):
    population = twins().starts[0].clone()
    before = population.weeks.copy()
    assert sf.plots.member_year(population, 5, agent).get_title(loc="left") == "Member 5 under mine"
    assert (population.weeks == before).all()
    assert sf.plots.member_year(population, 5).get_title(loc="left") == "Member 5"


def test_an_environment_shows_the_member_that_it_plays():
    env = gym.make("slowfast_rl/Pacing-v0", weeks=4, render_mode="ansi", first_member=7)
    env.reset(seed=0)
    env.step(1)
    assert sf.plots.member_year(env, 7).get_title(loc="left") == "Member 7"
    with pytest.raises(ValueError, match="member is 3; allowed are 7 to 7"):
        sf.plots.member_year(env, 3)


def pacing(weeks=6, **keywords):
    return gym.make(
        "slowfast_rl/Pacing-v0", weeks=weeks, render_mode="ansi", first_member=7, **keywords
    )


def test_a_year_of_an_environment_ends_with_the_present_week():
    env = pacing(privileged=True)
    with pytest.raises(ValueError, match="member 7 has played no week; allowed is an environment"):
        sf.plots.member_year(env, 7)
    env.reset(seed=0)
    with pytest.raises(ValueError, match="member 7 has played no week"):
        sf.plots.member_year(env, 7)
    for played in (1, 2):
        env.step(1)
        ax = sf.plots.member_year(env, 7)
        (goodwill,) = (line for line in ax.lines if line.get_label() == "goodwill (0 to 1)")
        assert len(goodwill.get_ydata()) == played
        assert ax.get_xlim()[1] == played - 0.4
        assert not [line for line in ax.lines if line.get_label() == "leaves the service"]


def test_a_year_of_an_environment_marks_where_the_member_churns():
    env = pacing(world=load_world("pronounced", {"churn.floor": 1, "churn.scale": 0}))
    env.reset(seed=0)
    assert env.step(1)[2]  # terminated
    with pytest.warns(UserWarning, match="although an episode has ended"):
        env.unwrapped.step(1)  # what follows is no part of the year
    ax = sf.plots.member_year(env, 7)
    (churn,) = (line for line in ax.lines if line.get_label() == "leaves the service")
    assert list(churn.get_xdata()) == [0.5, 0.5]


def test_a_year_says_how_many_messages_the_highest_bar_is():
    env = pacing()
    env.reset(seed=0)
    for _ in range(3):
        env.step(sf.load_world("pronounced").plan_index({"push": 5, "email": 0}))
    channels, timeline = (
        env.unwrapped.vector.population.world.channels,
        env.unwrapped.vector.timeline,
    )
    labels = [label.get_text() for label in sf.plots.member_year(env, 7).get_yticklabels()]
    for channel, label in zip(channels, labels, strict=False):
        sends = timeline.values[0, timeline.names.index(f"{channel} sends")]
        assert label == f"{channel}\n(bars up to {max(sends.max(), 1):.0f} a week)"
    assert labels[2] == "viewing days\n(bars up to 7 a week)"


def test_what_has_no_timeline_is_refused_in_one_line(board):
    env = gym.make("slowfast_rl/Pacing-v0", weeks=4)
    env.reset(seed=0)
    with pytest.raises(ValueError, match="make it with render_mode='ansi'"):
        sf.plots.member_year(env)
    with pytest.raises(ValueError, match="source is a Leaderboard; allowed is a population or an"):
        sf.plots.member_year(board)
    with pytest.raises(ValueError, match="member is 99; allowed are 0 to 31"):
        sf.plots.member_year(twins().starts[0], 99)


def test_the_report_is_one_file_that_needs_no_network(board, tmp_path):
    path = write_report(board, tmp_path, "slowfast-compare agents=[never]")
    page = path.read_text()
    assert "http" not in page
    assert page.count("data:image/png;base64,") == len(list((tmp_path / "figures").iterdir()))
    assert headline(board).replace("'", "&#39;") in page
    for name in ("mine", "never", "oracle"):
        assert f"<td>{name}</td>" in page
    assert "slowfast-compare agents=[never]" in page
    assert "None" not in re.sub('base64,[^"]*', "", page)


def test_a_name_with_markup_is_shown_as_it_is(agent, tmp_path):
    other = agent.untrained_copy(small_world())
    other.name = "<script>"
    board = sf.compare([other], small_world(), TINY, twins=twins(), progress=False)
    page = write_report(board, tmp_path, "").read_text()
    assert "<script>" not in page
    assert "&lt;script&gt;" in page


def scored(board, means, recipes=None):
    """A board of agents of these mean returns over the same members; no simulation."""
    noise = np.random.default_rng(0).normal(0, 0.1, TINY.num_members)
    noise -= noise.mean()
    returns = {name: mean + noise * (1 + i) for i, (name, mean) in enumerate(means.items())}
    weekly = {"never": board.rollouts["never"].weekly, "other": board.rollouts["mine"].weekly}
    rollouts = {
        name: SimpleNamespace(returns=own, weekly=weekly.get(name, weekly["other"]))
        for name, own in returns.items()
    }
    rows = [
        board.row("mine")
        | {"name": name, "return": float(own.mean()), "group": (recipes or {}).get(name)}
        | {"sends_per_week": {"push": float(i), "email": 1.0}, "seeds": [i]}
        for i, (name, own) in enumerate(returns.items())
    ]
    found, _ = seeds.groups(rows)
    base = returns["never"]
    return replace(
        board, rows=rows, rollouts=rollouts, references=None, baseline="never",
        baseline_rollout=rollouts["never"],
        contestants={name: SimpleNamespace(control=name.endswith("_dealt")) for name in means},
        groups=seeds.statistics_over_seeds(found, returns, base, board.segments),
    )  # fmt: skip


def test_the_headline_names_the_winner_its_lead_and_what_it_sends(board):
    text = headline(scored(board, {"a": 10, "b": 8, "never": 5}))
    assert text.startswith("a has the highest return. Its lead over never in discounted return is ")
    assert "+5.0" in text
    assert "+100% of never's return" in text
    assert text.endswith("It sends 0.0 push + 1.0 email a week.")


def test_the_oracle_and_controls_win_no_headline(board):
    scores = scored(board, {"a": 10, "oracle": 20, "a_dealt": 15, "never": 5})
    assert headline(scores).startswith("a has the highest return")


def test_the_headline_says_whether_the_lead_is_certain(board):
    assert "includes 0" not in headline(scored(board, {"a": 10, "never": 5}))
    text = headline(scored(board, {"never": 5, "a": 5.02}))
    assert text.startswith("a has the highest return")
    assert text.endswith("The interval includes 0: the lead is not certain.")


def test_the_headline_says_so_where_the_baseline_is_better_than_all(board):
    for means, end in (({"a": 4, "never": 5}, "it is worse."),
                       ({"never": 5, "a": 4.98}, "the interval includes 0.")):  # fmt: skip
        text = headline(scored(board, means))
        assert text.startswith("No agent has a higher return than never, which sends ")
        assert text.endswith(end)


def test_the_headline_ranks_a_baseline_that_was_not_entered(board):
    alone = sf.compare(
        ["never"], small_world(), TINY, references=references(), twins=twins(), progress=False
    )
    assert alone.row("never")["return"] < alone.baseline_rollout.returns.mean()
    assert headline(alone).startswith("No agent has a higher return than best_fixed, which sends")
    assert "never, in discounted return is -" in headline(alone)


def test_the_headline_ranks_the_mean_of_seeds_and_not_the_luckiest_one(board):
    means = {"a,seed=0": 10, "a,seed=1": 0, "b": 8, "never": -1}
    recipes = {"a,seed=0": "x", "a,seed=1": "x"}
    assert headline(scored(board, means, recipes)).startswith("b has the highest return")
    means["b"] = 4
    text = headline(scored(board, means, recipes))
    assert text.startswith("a (2 training seeds) has the highest return")
    assert "+6.0" in text
    assert "0.5 push + 1.0 email a week" in text  # the mean of the seeds


def test_the_headline_has_no_percentage_of_a_return_that_may_be_negative(board):
    assert "%" not in headline(scored(board, {"a": 1, "never": -5})).replace("95 %", "")
    assert "%" not in headline(scored(board, {"a": 1, "never": 0.001})).replace("95 %", "")


def test_the_colours_are_those_of_a_group_of_seeds(board):
    names = ["a,seed=0", "a,seed=1"]
    leads = scored(board, dict.fromkeys([*names, "never"], 1), dict.fromkeys(names, "x"))
    for name, rollout in leads.rollouts.items():
        rollout.rewards = board.rollouts["never" if name == "never" else "mine"].rewards
    first, second = sf.plots.long_term(leads, names).lines[:2]
    assert first.get_color() == second.get_color()
    assert first.get_linestyle() != second.get_linestyle()


def test_a_board_of_the_baseline_alone_has_a_report(tmp_path):
    board = sf.compare(["never"], small_world(), TINY, twins=twins(), progress=False)
    assert "No agent has a higher return than never" in headline(board)
    assert write_report(board, tmp_path, "").is_file()


@pytest.fixture(scope="module")
def empty_board():
    """A board on which everybody churned in the burn-in."""
    doomed = load_world("pronounced", {"churn.floor": 1, "churn.scale": 0})
    return sf.compare(["random", "never"], doomed, TINY, progress=False)


@pytest.mark.parametrize("name", OF_BOARD)
def test_a_board_without_living_members_has_figures(empty_board, name):
    arguments = ("random",) if OF_BOARD[name] else ()
    assert getattr(sf.plots, name)(empty_board, *arguments).get_title(loc="left")


def test_a_board_without_living_members_has_a_report_and_no_percentages(empty_board, tmp_path):
    page = write_report(empty_board, tmp_path, "").read_text()
    assert "No agent has a higher return than never" in page
    assert "plan_reactions" in {path.stem for path in (tmp_path / "figures").iterdir()}


def test_a_figure_that_fails_is_left_out_with_a_warning(board, tmp_path, monkeypatch):
    def fail(*_, ax):
        raise IndexError("no such place")

    monkeypatch.setattr("slowfast_rl.evaluation.plots.sends_by_segment", fail)
    told = "the figure 'sends_by_segment' is left out, because of IndexError: no such place"
    with pytest.warns(UserWarning, match=told):
        page = write_report(board, tmp_path, "").read_text()
    assert page.count("data:image/png;base64,") == len(list((tmp_path / "figures").iterdir())) > 4
    with pytest.warns(UserWarning, match="the figure 'sends by segment' is left out"):
        titles = [title for title, _ in agent_figures(board, "mine")]
    assert titles == ["figures/plans", "figures/one member's year"]


def test_a_checkout_that_is_not_installed_has_a_report(board, tmp_path, monkeypatch):
    def missing(name):
        raise PackageNotFoundError(name)

    monkeypatch.setattr("slowfast_rl.evaluation.report.version", missing)
    page = write_report(board, tmp_path, "").read_text()
    assert f"slowfast_rl {sf.__version__}" in page
    assert "numba not installed" in page


def test_a_gain_has_a_percentage_only_where_the_return_lies_above_0(board):
    def texts(never):
        drawn = scored(board, {"a": never + 1, "never": never})
        return [text.get_text() for text in sf.plots.who_gains(drawn, "a").texts]

    assert all(text.endswith("%)") for text in texts(5))
    assert not [text for text in texts(-5) + texts(0.001) if "%" in text]


def test_a_comparison_over_one_week_is_drawn_as_points(agent):
    week = replace(TINY, weeks=1)
    board = sf.compare([agent], small_world(), week, progress=False)
    ax = board.plot()
    left, right = ax.get_xlim()
    assert left < 1 < right
    assert ax.lines[0].get_marker() == "o"


def test_any_number_of_horizons_is_drawn():
    plans = np.array([[0, 0], [1, 0]], np.int32)
    weeks = range(1, 10)
    returns = {horizon: np.arange(8.0).reshape(2, 4) * horizon for horizon in weeks}
    lines = sf.plots.horizons(SimpleNamespace(plans=plans, returns=returns), weeks).lines
    assert len({line.get_label() for line in lines if "over" in line.get_label()}) == 9


def test_the_figure_of_sends_says_which_are_delivered_and_which_are_planned(board):
    label = sf.plots.sends_and_return(board).get_xlabel()
    assert "delivered" in label
    assert "grey: planned" in label


def test_rewards_and_returns_are_not_called_viewing_days_a_week(board):
    assert "reward a week" in sf.plots.long_term(board, cumulative=False).get_ylabel()
    for name in ("who_gains", "sends_and_return"):
        assert "discounted return (viewing days)" in (
            getattr(sf.plots, name)(board).get_ylabel().replace("\n", " ")
        )


@pytest.mark.parametrize("name", OF_BOARD)
def test_boards_of_several_comparisons_are_refused_in_one_line(board, name):
    with pytest.raises(ValueError, match="board is a list; allowed is one leaderboard, of one"):
        getattr(sf.plots, name)([board, board], *OF_BOARD[name])


def test_an_agent_that_is_not_on_the_board_is_named_with_those_that_are(board):
    with pytest.raises(KeyError, match="no agent 'nobody'; allowed: mine, never, oracle"):
        sf.plots.plan_map(board, "nobody")
    with pytest.raises(KeyError, match="no agent 'nobody'"):
        sf.plots.long_term(board, "nobody")


def test_an_agent_without_a_planner_has_no_plans_to_show(tmp_path):
    executor = sf.fast.PPOExecutor(planned=False, num_envs=16, n_steps=4, weeks=4)
    agent = sf.SinglePolicyAgent(executor, name="flat")
    agent.learn(small_world(), total_opportunities=2000, seed=1)
    board = sf.compare([agent, "never"], small_world(), TINY, twins=twins(), progress=False)
    with pytest.raises(ValueError, match="'flat' plans nothing; allowed: never"):
        sf.plots.plan_map(board, "flat")
    assert next(title for title, _ in agent_figures(board, "flat")) == "figures/sends by segment"
    assert write_report(board, tmp_path, "").is_file()


def test_tensorboard_gets_three_figures_of_an_agent(board):
    titles = [title for title, _ in agent_figures(board, "mine")]
    assert titles == ["figures/plans", "figures/sends by segment", "figures/one member's year"]


@pytest.mark.parametrize(
    ("package", "module", "what"),
    [
        ("jinja2", "slowfast_rl.evaluation.report", "the report needs jinja2"),
        ("scipy", "slowfast_rl.evaluation.seeds", "statistics over seeds need scipy"),
        ("pandas", "slowfast_rl.members.frames", "tables need pandas"),
        ("matplotlib", "slowfast_rl.evaluation.plots", "figures need matplotlib"),
    ],
)
def test_a_missing_package_names_the_extra(package, module, what):
    code = f"import sys; sys.modules[{package!r}] = None; import {module}"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    last = done.stderr.splitlines()[-1]
    assert last == f"ImportError: {what}: pip install 'slowfast_rl[report]'"
