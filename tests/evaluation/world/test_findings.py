"""The headline findings at once, in a small world, and with what they rest on taken away."""

from dataclasses import replace

import pytest

from slowfast_rl.evaluation.world.findings import SCALED, SWITCHES, changed, findings
from slowfast_rl.evaluation.world.properties import personal_gap
from slowfast_rl.evaluation.world.sweeps import check_protocol, sweep
from slowfast_rl.members.world import World
from tests.members.worlds import world

MENU = ((0, 1, 3, 5, 14), (0, 1, 2, 5, 7))


def on_small_menu(name: str) -> World:
    return replace(world(name), menu=MENU)


def verdicts(changed_world: World) -> dict[str, bool | None]:
    return findings(changed_world, check_protocol(128, 26, 4, lucks=4)).verdicts


def test_every_finding_holds_or_is_not_resolved_in_the_pronounced_world() -> None:
    found = verdicts(on_small_menu("pronounced"))
    assert False not in found.values()
    for name in ("opens fall", "crossover", "gap", "confounding", "over-credit"):
        assert found[name], name


def test_without_fatigue_nothing_is_left_to_plan() -> None:
    found = verdicts(on_small_menu("no_fatigue"))
    for name in ("opens fall", "opt-outs rise", "interior", "crossover", "differs"):
        assert found[name] is False, name
    assert found["confounding"]


def test_members_that_do_not_differ_leave_no_gap() -> None:
    same = on_small_menu("homogeneous")
    chosen = sweep(same, check_protocol(128, 26, 0, lucks=4))
    scored = sweep(same, replace(check_protocol(128, 26, 0), streams=(4, 5)))
    assert not personal_gap(chosen, scored, 26).exists


def test_a_switch_sets_its_parameters_on_every_channel_and_nothing_else() -> None:
    base = world("pronounced")
    off = changed(base, SWITCHES["no fast fatigue"])
    assert off.response.fatigue_decay == off.opt_out.fatigue_weight == (0, 0)
    assert off.organic.fatigue_weight == 0
    assert off.fatigue == base.fatigue
    assert changed(base, {"opt_out.hazard": 2}, scaled=True).opt_out.hazard == (0.002, 0.002)
    for name in SCALED:
        assert changed(base, {name: 1}, scaled=True) == base
        assert changed(base, {name: 2}, scaled=True) != base


def test_four_lucks_are_needed() -> None:
    with pytest.raises(ValueError, match="allowed is 4 or more"):
        findings(world("null"), check_protocol(8, 1, 0, lucks=3))
