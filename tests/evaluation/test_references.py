import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

from slowfast_rl.evaluation import EvaluationProtocol, compute_references, load_references
from slowfast_rl.evaluation.protocol import REFERENCE_POPULATION, burned_in
from slowfast_rl.evaluation.references import REFERENCES_FOLDER, reference_key, save_references
from slowfast_rl.members.loading import load_world
from slowfast_rl.members.reading import sealed
from slowfast_rl.policies import default_executor
from slowfast_rl.policies.guard import feasible_target
from slowfast_rl.store import files
from tests.damage import damaged
from tests.evaluation.cases import TINY, references, small_world
from tests.members.worlds import world


def returns_by_hand(world, protocol, streams, population_seed=None):
    """Mean return over lucks of every member under every plan, [N, O]."""
    total = np.zeros((protocol.num_members, len(world.plans)))
    for stream in streams:
        for o, (plan, shape) in enumerate(zip(world.plans, world.plan_shapes, strict=True)):
            population = burned_in(world, protocol, stream, population_seed)
            for week in range(protocol.weeks):
                wanted = np.tile(plan, (protocol.num_members, 1))
                target = feasible_target(wanted, population.opted_in)
                brought = default_executor().run_week(population, target, shape=int(shape))
                total[:, o] += world.reward.weekly_discount**week * brought.reward
    return total / len(streams)


def test_references_are_what_living_every_plan_by_hand_gives():
    w, found = small_world(), references()
    fixed = returns_by_hand(w, TINY, range(4, 16), REFERENCE_POPULATION).mean(axis=0)
    assert_allclose(list(found.fixed_returns.values()), fixed)
    assert list(found.fixed_returns) == ["0,0", "0,1", "2,0", "2,1", "5,0", "5,1"]
    best = int(fixed.argmax())
    assert found.best_fixed_plan == tuple(w.plans[best])
    oracle = returns_by_hand(w, TINY, range(4, 16)).argmax(axis=1)
    assert_array_equal(found.oracle_plans, oracle)
    assert len(set(oracle.tolist())) > 1
    scored = returns_by_hand(w, TINY, TINY.streams)
    assert_allclose(found.best_fixed, scored[:, best])
    assert_allclose(found.oracle, scored[np.arange(32), oracle])
    assert_allclose(found.gap, found.oracle.mean() / found.best_fixed.mean() - 1)
    negative = replace(found, best_fixed=-found.best_fixed, oracle=1 - found.best_fixed)
    assert negative.gap is None
    assert negative.lead_text == "1.00 viewing days (discounted)"


def test_references_of_a_world_with_shapes_name_the_shape_of_each_plan(tmp_path):
    weekend = world("shaped").shapes[:1]
    w = replace(small_world(), shapes=weekend, menu=((0, 5), (0,)))
    found = compute_references(w, TINY, workers=1)
    fixed = returns_by_hand(w, TINY, range(4, 16), REFERENCE_POPULATION).mean(axis=0)
    assert list(found.fixed_returns) == ["0,0", "5,0", "0,0 weekend", "5,0 weekend"]
    assert_allclose(list(found.fixed_returns.values()), fixed)
    best = int(fixed.argmax())
    assert found.best_fixed_plan == tuple(w.plans[best])
    assert found.best_fixed_shape == w.shape_names[w.plan_shapes[best]]
    assert_allclose(found.best_fixed, returns_by_hand(w, TINY, TINY.streams)[:, best])
    save_references(found, tmp_path)
    again = load_references(w, TINY, (tmp_path,))
    assert again.best_fixed_shape == found.best_fixed_shape


def test_the_oracle_is_stated_for_6_12_and_24_lucks():
    w, found = small_world(), references()
    assert list(found.oracle_return_by_lucks) == ["6", "12", "24"]
    assert_allclose(found.oracle_return_by_lucks["12"], found.oracle.mean())
    scored = returns_by_hand(w, TINY, TINY.streams)
    for lucks, streams in (("6", range(4, 10)), ("24", range(4, 28))):
        plans = returns_by_hand(w, TINY, streams).argmax(axis=1)
        expected = scored[np.arange(32), plans].mean()
        assert_allclose(found.oracle_return_by_lucks[lucks], expected)


def test_references_saved_are_loaded_for_their_case_alone(tmp_path):
    path = save_references(references(), tmp_path)
    found = load_references(small_world(), TINY, (tmp_path / "none", tmp_path))
    assert path.parent == tmp_path
    for name, value in vars(references()).items():
        if name in ("best_fixed", "oracle"):
            assert_allclose(getattr(found, name), value, atol=1e-5)
        else:
            assert_array_equal(getattr(found, name), value)
    assert load_references(small_world("null"), TINY, (tmp_path,)) is None
    assert load_references(small_world(), replace(TINY, weeks=7), (tmp_path,)) is None


def test_a_reference_file_says_what_it_holds(tmp_path):
    content = json.loads(save_references(references(), tmp_path).read_text())
    low, high = content["oracle_minus_best_fixed_ci95"]
    assert low <= content["oracle_return"] - content["best_fixed_return"] <= high
    assert content["key"] == references().key


def test_the_key_changes_with_everything_that_changes_a_reference():
    w = small_world()
    keys = [reference_key(w, TINY)]
    for other in (
        replace(w, menu=((0, 2, 5), (0, 2))),
        replace(w, safe_plan=(2, 0)),
        load_world("pronounced", {"reward.message_cost": 0.02}),
    ):
        keys.append(reference_key(other, TINY))
    for changes in (
        {"weeks": 7},
        {"burn_in": 3},
        {"num_members": 33},
        {"population_seed": 1},
        {"luck_seed": 1},
        {"streams": (0,)},
    ):
        keys.append(reference_key(w, replace(TINY, **changes)))
    assert len(set(keys)) == len(keys)
    assert reference_key(replace(w, name="other"), TINY) == keys[0]


@pytest.mark.parametrize("path", sorted(REFERENCES_FOLDER.glob("*.json")), ids=lambda p: p.stem)
def test_a_committed_file_serves_the_default_case_of_its_world(path):
    name = json.loads(path.read_text())["world"]
    found = load_references(load_world(name), EvaluationProtocol())
    assert found is not None, "the world or the protocol changed: make references"
    assert path.stem == f"{name}-{found.key}"


@pytest.mark.parametrize(
    "damage",
    [
        lambda text: text[: len(text) // 2],
        lambda text: "[]",
        lambda text: "[" * 100_000,
        lambda text: text.replace("0", "1"),
        lambda text: text.replace("sha256", "sha255"),
        lambda text: text[text.index('"world"') - 1 :],
    ],
    ids=["cut", "list", "deep", "digits", "digest's name", "no digest"],
)
def test_a_damaged_file_is_refused_in_one_line(tmp_path, damage):
    path = save_references(references(), tmp_path)
    path.write_text(damage(path.read_text()))
    with pytest.raises(ValueError, match="holds no readable references") as raised:
        load_references(small_world(), TINY, (tmp_path,))
    assert "\n" not in str(raised.value)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"key": "0"}, "key is .*-0'"),
        ({"world": "other"}, "key is 'other-"),
        ({"oracle": [1.0, 2.0]}, "oracle has shape"),
        ({"oracle_plans": None}, "oracle_plans is None; a list of int"),
        ({"oracle_plans": [-1] * 32}, "oracle_plans has plans outside the menu; allowed is 0 to"),
        ({"oracle_plans": [6] * 32}, "oracle_plans has plans outside the menu"),
        ({"oracle_plans": [2**63] * 32}, "int too large|too large to convert|out of bounds"),
        ({"oracle_plans": [1.0] * 32}, "oracle_plans is .*; a list of int"),
        ({"oracle": [float("nan")] * 32}, "it holds NaN; a finite number is needed"),
        ({"best_fixed": [float("inf")] * 32}, "it holds Infinity"),
        ({"best_fixed": ["1"] * 32}, "best_fixed is .*; a list of float"),
        ({"best_fixed_plan": [3, 3]}, "is not on the menu"),
        ({"best_fixed_plan": "x" * 10_000}, "is not on the menu"),
        ({"best_fixed_shape": "odd"}, "is not on the menu"),
        ({"oracle_return_by_lucks": {"6": 1.0}}, "is not for 6, 12, 24 lucks"),
        ({"fixed_returns": {}}, "fixed_returns are not those of the plans"),
        ({"oracle_return_by_lucks": {"6": "a", "12": 1.0, "24": 1.0}}, "'6'. is 'a'; a finite"),
    ],
)
def test_values_that_no_computation_gives_are_refused_in_one_line(tmp_path, change, message):
    path = save_references(references(), tmp_path)
    content = json.loads(path.read_text()) | change
    del content["sha256"]
    path.write_bytes(sealed(json.dumps(content)))
    with pytest.raises(ValueError, match=message) as raised:
        load_references(small_world(), TINY, (tmp_path,))
    assert "\n" not in str(raised.value)
    assert len(str(raised.value)) < 1000


def test_no_flipped_bit_of_a_reference_file_is_taken(tmp_path):
    path = save_references(references(), tmp_path)
    for content in damaged(path.read_bytes(), 1000):
        path.write_bytes(content)
        with pytest.raises(ValueError, match="holds no readable references"):
            load_references(small_world(), TINY, (tmp_path,))


@pytest.mark.parametrize("fails", ["fsync", "replace"])
def test_an_interrupted_write_leaves_no_file(tmp_path, monkeypatch, fails):
    def stop(*arguments):
        raise KeyboardInterrupt

    monkeypatch.setattr(
        *((files.os, "fsync", stop) if fails == "fsync" else (Path, "replace", stop))
    )
    with pytest.raises(KeyboardInterrupt):
        save_references(references(), tmp_path)
    assert not list(tmp_path.iterdir())


def test_lucks_that_score_must_not_choose_the_oracle():
    with pytest.raises(ValueError, match="streams 4 to 27 are reserved"):
        compute_references(small_world(), replace(TINY, streams=(0, 4)), workers=1)


def test_no_workers_compute_nothing():
    with pytest.raises(ValueError, match="workers is 0; allowed is 1 or more"):
        compute_references(small_world(), TINY, workers=0)


@pytest.mark.long
def test_workers_compute_the_same_references_as_one_process():
    found = compute_references(small_world(), TINY, workers=2)
    assert_array_equal(found.oracle_plans, references().oracle_plans)
    assert_array_equal(found.oracle, references().oracle)
