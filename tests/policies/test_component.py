"""What is wrong with a class of a user's own is said before it is used."""

from dataclasses import dataclass

import pytest

from slowfast_rl.fast import ExactPacer
from slowfast_rl.policies.component import check_class, find_class, import_class, register
from slowfast_rl.policies.contracts import BaseExecutor, BasePacer, BasePlanner, BaseRanker
from slowfast_rl.policies.settings import Settings
from slowfast_rl.slow import RolloutPlanner


class NoName(BasePlanner):
    def plan(self, request):
        return request.entity_ids


class NoPlan(BasePlanner):
    name = "no_plan"


class NoScore(BaseRanker):
    name = "no_score"


class NoPace(BasePacer):
    name = "no_pace"


class NoAct(BaseExecutor):
    name = "no_act"


class NeedsMore(NoName):
    name = "needs_more"

    def learn(self, world, teacher):
        return self


class StateAlone(NoName):
    name = "state_alone"

    def state(self):
        return {"a": 1}


class NoDataclass(NoName):
    name = "no_dataclass"

    class Settings(Settings):
        a: int = 3


@dataclass(frozen=True, kw_only=True)
class Bare(Settings):
    a: int = 3


class BareSettings(NoName):
    name = "bare"
    Settings = Bare


class NoSettings(NoName):
    name = "no_settings"
    Settings = dict


class Taken(NoName):
    name = "rollouts"


@pytest.mark.parametrize(
    ("cls", "kind", "message"),
    [
        (NoName, "planner", 'NoName has no name; give the class one, as in name = "mine"'),
        (NoPlan, "planner", "NoPlan lacks plan; define it"),
        (NoScore, "ranker", "NoScore lacks score or function; define it"),
        (NoPace, "pacer", "NoPace lacks pace or function; define it"),
        (NoAct, "executor", "NoAct lacks act or run_week; define it"),
        (NeedsMore, "planner", "NeedsMore.learn needs 'teacher', which the agent does not give"),
        (StateAlone, "planner", "StateAlone defines state and lacks from_state; define both"),
        (NoDataclass, "planner", "NoDataclass.Settings is no dataclass; decorate it"),
        (BareSettings, "planner", r"has \['a'\] without a text; declare fields with setting"),
        (NoSettings, "planner", "NoSettings.Settings is .*; allowed is a subclass of Settings"),
        (ExactPacer, "planner", "ExactPacer is no planner but a pacer; derive it from BasePlanner"),
        (dict, "ranker", "dict is not a ranker: derive it from BaseRanker"),
        (3, "ranker", "3 is not a ranker: derive it from BaseRanker"),
    ],
)
def test_a_class_that_is_not_complete_is_refused_in_one_line(cls, kind, message):
    with pytest.raises(ValueError, match=message) as raised:
        check_class(cls, kind)
    assert "\n" not in str(raised.value)


def test_a_name_is_registered_once():
    with pytest.raises(ValueError, match="'rollouts' is registered for slowfast_rl"):
        register(Taken)
    assert register(RolloutPlanner) is RolloutPlanner


def test_a_class_is_found_by_its_name_or_by_a_path_that_is_allowed():
    assert find_class("planner", "rollouts") is RolloutPlanner
    path = f"{NoPlan.__module__}.NoPlan"
    with pytest.raises(ValueError, match="is not allowed"):
        find_class("planner", path)
    with pytest.raises(ValueError, match="NoPlan lacks plan"):
        find_class("planner", path, allow=[NoPlan])


@pytest.mark.parametrize(
    ("path", "message"),
    [
        ("nowhere.Planner", "No module named 'nowhere'"),
        ("slowfast_rl.slow.Nothing", "has no attribute 'Nothing'"),
        ("Planner", "allowed is the import path of a class"),
    ],
)
def test_a_path_that_leads_nowhere_is_refused_with_the_reason(path, message):
    with pytest.raises(ValueError, match=message) as raised:
        import_class(path, "slow._target_")
    assert "\n" not in str(raised.value)
