import json
from dataclasses import replace

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

import slowfast_rl as sf
from slowfast_rl.agents import SlowFastAgent
from slowfast_rl.evaluation import EvaluationProtocol, Twins
from slowfast_rl.evaluation.contestants import Contestant, agent_contestants
from slowfast_rl.evaluation.leaderboard import measures
from slowfast_rl.fast import AffinityRanker, PacedExecutor
from slowfast_rl.fast.affinity import Weights
from slowfast_rl.slow import FixedPlanner
from slowfast_rl.store import InMemoryFeatureStore
from tests.agents.cases import untrained_agent
from tests.evaluation.cases import TINY, AlternatingPlanner, references, small_world, twins
from tests.members.worlds import world
from tests.store.faults import Faults, FaultyStore

WIDE = EvaluationProtocol(num_members=192, weeks=30, burn_in=4, streams=(0, 1))  # its oracle leads


def compare(agents, name="pronounced", protocol=TINY, **arguments):
    arguments = {
        "references": references(name, protocol),
        "twins": twins(name, protocol),
    } | arguments
    return sf.compare(agents, small_world(name), protocol, progress=False, **arguments)


@pytest.fixture(scope="module")
def board():
    agent = untrained_agent(small_world())
    agent.train_opportunities, agent.train_cpu_seconds = 123, 4.5
    return compare([agent, "best_fixed", "oracle", "never", "always", "random"], protocol=WIDE)


def test_the_gap_is_closed_by_the_oracle_and_not_at_all_by_the_best_fixed_plan(board):
    assert board.row("oracle")["gap_closed"] == pytest.approx(1)
    assert board.row("oracle")["gap_closed_ci95"] == pytest.approx([1, 1])
    assert board.row("best_fixed")["gap_closed"] == pytest.approx(0)
    assert board.row("best_fixed")["gap_closed_ci95"] == pytest.approx([0, 0])
    assert board.row("best_fixed")["return_vs_default_fixed"] == pytest.approx(0)
    assert board.row("always")["gap_closed"] < 1


@pytest.mark.parametrize("name", ["homogeneous", "null"])
def test_where_the_oracle_does_not_lead_no_gap_is_reported(name):
    row = compare(["never"], name).row("never")
    assert row["gap_closed"] is None
    assert row["gap_closed_ci95"] is None
    assert row["return_vs_default_fixed"] is not None


def test_without_references_nothing_is_measured_against_them():
    board = compare(["never"], references=None)
    assert board.references is None
    for name in ("gap_closed", "gap_closed_ci95", "return_vs_default_fixed"):
        assert board.row("never")[name] is None


def test_all_are_compared_with_the_first_on_the_same_members_and_luck(board):
    first = board.rows[0]
    assert first["name"] == "ppo+affinity"
    assert first["paired_vs"] is first["paired_diff"] is first["paired_ci95"] is None
    for row in board.rows[1:]:
        difference = board.rollouts[row["name"]].returns - board.rollouts["ppo+affinity"].returns
        half = 1.959964 * difference.std(ddof=1) / len(difference) ** 0.5
        assert row["paired_vs"] == "ppo+affinity"
        assert row["paired_diff"] == pytest.approx(difference.mean())
        assert row["paired_diff"] == pytest.approx(row["return"] - first["return"])
        assert row["paired_ci95"] == pytest.approx(
            [difference.mean() - half, difference.mean() + half], rel=1e-5, abs=1e-9
        )


def test_an_agent_compared_with_itself_differs_by_exactly_nothing():
    agent = untrained_agent(small_world())
    board = compare([agent, agent])
    assert [row["name"] for row in board.rows] == ["ppo+affinity", "ppo+affinity_2"]
    assert board.row("ppo+affinity_2")["paired_diff"] == 0
    assert board.row("ppo+affinity_2")["paired_ci95"] == [0, 0]


def test_a_ranker_changes_an_agents_return_but_not_how_much_of_the_gap_its_planner_closes():
    planner = FixedPlanner(small_world(), (5, 1))
    worst = PacedExecutor(ranker=AffinityRanker.with_weights(Weights(4, -1, 0, 0, 0, 0)))
    board = compare(
        [Contestant("plain", planner), Contestant("worst", planner, worst)], protocol=WIDE
    )
    plain, other = board.row("plain"), board.row("worst")
    assert other["paired_ci95"][1] < 0
    assert other["return_vs_default_fixed"] < plain["return_vs_default_fixed"]
    assert other["gap_closed"] == plain["gap_closed"]
    assert plain["executor"] == other["executor"] == "default"


def test_the_json_has_every_field_of_the_contract(board):
    content = json.loads(json.dumps(board.to_json(), allow_nan=False))
    assert list(content) == [
        "world", "num_members", "weeks", "population_seed", "luck_seed", "agents", "groups",
        "not_grouped",
    ]  # fmt: skip
    assert content["world"] == "pronounced"
    assert content["num_members"] == 192
    fields = {
        "name", "executor", "seeds", "return", "return_ci95", "paired_vs", "paired_diff",
        "paired_ci95", "return_vs_default_fixed", "gap_closed", "gap_closed_ci95",
        "sends_per_week", "opt_out_per_week", "open_rate", "viewing_days_per_week",
        "churn_per_month", "plan_changes_per_week", "mid_week_plan_changes", "store_fallbacks",
        "by_segment", "train_cpu_seconds", "train_opportunities",
    }  # fmt: skip
    for row in content["agents"]:
        assert fields <= set(row)
        for name in ("sends_per_week", "opt_out_per_week", "open_rate"):
            assert list(row[name]) == ["push", "email"]
        assert row["return_ci95"][0] < row["return"] < row["return_ci95"][1]
    agent = content["agents"][0]
    assert (agent["seeds"], agent["train_opportunities"], agent["train_cpu_seconds"]) == (
        [3],
        123,
        4.5,
    )


def test_never_sends_nothing_and_always_sends_the_most(board):
    never, always = board.row("never"), board.row("always")
    assert never["sends_per_week"] == {"push": 0, "email": 0}
    assert never["open_rate"] == {"push": None, "email": None}
    assert 3.5 < always["sends_per_week"]["push"] < 0.9 * 5  # of the opted-in
    assert 0.8 < always["sends_per_week"]["email"] < 0.95
    assert 0.02 < always["open_rate"]["push"] < 0.4


def test_segments_together_make_the_whole(board):
    counts = np.bincount(twins(protocol=WIDE).segments) / 192
    for row in board.rows:
        assert list(row["by_segment"]) == ["casual", "regular", "heavy"]
        parts = [row["by_segment"][name] for name in row["by_segment"]]
        assert np.dot(counts, [p["return"] for p in parts]) == pytest.approx(row["return"])
        views = [p["viewing_days_per_week"] for p in parts]
        assert views == sorted(views)
        sends = [p["sends_per_week"]["push"] for p in parts]
        assert min(sends) <= row["sends_per_week"]["push"] <= max(sends)


def test_measures_are_averages_per_living_member_week():
    weekly = {
        "alive": np.array([[4.0, 6], [4, 2]]),
        "viewing_days": np.array([[8.0, 8], [8, 0]]),
        "churned": np.array([[0.0, 4], [0, 0]]),
        "plan_changes": np.array([[0.0, 0], [1, 3]]),
        "sends": np.array([[[8.0, 0], [8, 0]], [[16, 0], [0, 0]]]),
        "opens": np.array([[[2.0, 0], [2, 0]], [[0, 0], [0, 0]]]),
        "opt_outs": np.array([[[1.0, 0], [0, 0]], [[0, 0], [0, 0]]]),
        "opted_in": np.array([[[4.0, 0], [3, 0]], [[3, 0], [0, 0]]]),
    }
    found = measures(weekly, ("push", "email"))
    assert found["sends_per_week"] == {"push": 2, "email": 0}
    assert found["opt_out_per_week"] == {"push": 0.1, "email": None}
    assert found["open_rate"] == {"push": 0.125, "email": None}
    assert found["viewing_days_per_week"] == 1.5
    assert found["plan_changes_per_week"] == 0.25
    assert found["churn_per_month"] == pytest.approx(1 - 0.75 ** (365.25 / 84))


def test_a_store_that_loses_every_plan_shows_on_the_leaderboard():
    board = compare(
        [Contestant("lost", AlternatingPlanner())],
        store_factory=lambda: FaultyStore(InMemoryFeatureStore(), Faults(drop_writes=True)),
    )
    row = board.row("lost")
    assert row["store_fallbacks"] == board.rollouts["lost"].weekly["alive"].sum()
    assert 0.7 < row["sends_per_week"]["email"] <= 1  # of the safe plan
    assert row["vetoed_sends"] == 0


def test_controls_of_an_agent_are_its_dealt_plans_and_its_untrained_self():
    agent = untrained_agent(small_world())
    own, dealt, untrained = agent_contestants(agent, small_world())
    assert [c.name for c in (own, dealt, untrained)] == [
        "ppo+affinity", "ppo+affinity_dealt", "ppo+affinity_untrained",
    ]  # fmt: skip
    board = compare([own, dealt, untrained])
    assert board.row("ppo+affinity_dealt")["executor"] == board.row("ppo+affinity")["executor"]
    assert_array_equal(untrained.executor.ranker.weights, AffinityRanker().weights)


NAMES = "never, always, random, best_fixed, oracle, threshold"


@pytest.mark.parametrize(
    ("agents", "message"),
    [
        (["orcale"], f"unknown agent 'orcale'; allowed: {NAMES}"),
        ([], "a list of at least one agent or name is needed"),
        ("oracle", "a list of at least one agent or name is needed"),
        (
            [3],
            "agents has a int; allowed: agents, contestants and the names " + NAMES,
        ),
        ([SlowFastAgent()], r"'slowfast' has no world; call learn or load first"),
    ],
)
def test_agents_that_cannot_be_evaluated_are_refused_in_one_line(agents, message):
    with pytest.raises(ValueError, match=message) as raised:
        compare(agents)
    assert "\n" not in str(raised.value)


@pytest.mark.parametrize("name", ["best_fixed", "oracle"])
def test_reference_agents_need_references(name):
    with pytest.raises(ValueError, match=f"'{name}' needs references of this case; compute them"):
        compare([name], references=None)


def test_an_agent_trained_on_the_evaluations_members_is_refused():
    agent = untrained_agent(small_world(), seed=1_000_000)
    with pytest.raises(ValueError, match="seed is 1000000, which evaluation uses"):
        compare([agent])


def test_an_agent_of_other_shapes_is_refused():
    other = replace(small_world(), shapes=world("shaped").shapes)
    with pytest.raises(ValueError, match=r"was trained with shapes .*weekend.*, not"):
        compare([untrained_agent(other)])


def test_an_agent_of_another_menu_is_refused():
    other = replace(small_world(), menu=((0, 2, 6), (0, 1)))
    with pytest.raises(ValueError, match=r"'ppo\+affinity' was trained with menu .*6.*, not .*5"):
        compare([untrained_agent(other)])


def test_an_agent_may_be_evaluated_in_a_world_that_only_behaves_otherwise():
    compare([untrained_agent(small_world("null"))])


def test_references_and_twins_of_another_case_are_refused():
    with pytest.raises(ValueError, match="are of another world or protocol"):
        compare(["never"], references=references("null"))
    with pytest.raises(ValueError, match="twins are of null"):
        compare(["never"], twins=twins("null"))
    with pytest.raises(ValueError, match="twins are of pronounced"):
        compare(["never"], twins=twins(protocol=WIDE))


def test_twins_bring_their_protocol_with_them():
    own = Twins(small_world(), replace(TINY, weeks=2))
    board = sf.compare(["never"], small_world(), twins=own, progress=False)
    assert board.protocol == own.protocol


def test_a_row_is_found_by_name(board):
    assert_allclose(board.row("never")["return"], board.rollouts["never"].returns.mean())
    with pytest.raises(KeyError):
        board.row("nobody")
