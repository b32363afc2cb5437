"""What is wrong with a class of a user's own is said before it is used."""

from dataclasses import dataclass
from typing import Literal

import numpy as np
import pytest

from slowfast_rl.fast import ExactPacer
from slowfast_rl.policies.class_checks import check_class
from slowfast_rl.policies.component import Component
from slowfast_rl.policies.contracts import BaseExecutor, BasePacer, BaseRanker
from slowfast_rl.policies.settings import Settings, setting
from tests.policies.classes import NoName, NoPlan


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


class WeekAlone(BaseExecutor):
    name = "week_alone"

    def run_week(self, population, target, cap=None, shape=0):
        return None


class LearnsAlone(NoName):
    name = "learns_alone"

    def learn(self, world):
        return self


class ExecutorLearnsAlone(BaseExecutor):
    name = "learns_alone"

    def act(self, observations, masks, coins):
        return masks[:, 0]

    def learn(self, world):
        return self


class FromStateAlone(NoName):
    name = "from_state_alone"

    @classmethod
    def from_state(cls, world, settings, state, **parts):
        return cls()


class NoWorld(NoName):
    name = "no_world"

    def learn(self, *, seed=0):
        return self


class NoWeights(BaseRanker):
    name = "no_weights"

    @staticmethod
    def score(opportunity, topic, quality, launch, log, weights):
        return quality * weights[0]

    def learn(self, world):
        self.weights = np.ones(1)
        return self


class NoParameters(BasePacer):
    name = "no_parameters"

    @staticmethod
    def pace(opportunity, plan_rows, pacing):
        return pacing[1], 1.0, 1.0

    def learn(self, world):
        self.parameters = np.ones(1)
        return self


class Direct(Component):
    name = "direct"


class OfNoBase(Component):
    kind = "planner"
    name = "of_no_base"


class ListedParts(BaseExecutor):
    name = "listed_parts"
    parts = ("pacer", "ranker")

    def act(self, observations, masks, coins):
        return masks[:, 0]


@dataclass(frozen=True, kw_only=True)
class Tuples(Settings):
    sizes: tuple[int, ...] = setting((1, 2), "of layers")


class TupleSettings(NoName):
    name = "tuples"
    Settings = Tuples


@dataclass(frozen=True, kw_only=True)
class Literals(Settings):
    colour: Literal["red", "blue"] = setting("red", "of nothing")


class LiteralSettings(NoName):
    name = "literals"
    Settings = Literals


@pytest.mark.parametrize(
    ("cls", "kind", "message"),
    [
        (NoName, "planner", 'NoName has no name; give the class one, as in name = "mine"'),
        (NoPlan, "planner", "NoPlan lacks plan; define it"),
        (NoScore, "ranker", "NoScore lacks score or function; define it"),
        (NoPace, "pacer", "NoPace lacks pace or function; define it"),
        (NoAct, "executor", "NoAct lacks act or run_week and choose; define it"),
        (WeekAlone, "executor", "WeekAlone lacks act or run_week and choose; define it"),
        (LearnsAlone, "planner", "LearnsAlone learns and has no state, so that what it learns"),
        (ExecutorLearnsAlone, "executor", "ExecutorLearnsAlone learns and has no state"),
        (FromStateAlone, "planner", "FromStateAlone defines from_state and lacks state"),
        (NoWorld, "planner", "NoWorld.learn takes no world; allowed is learn"),
        (NoWeights, "ranker", r"NoWeights learns and has no weights before; .* weights = np.zero"),
        (NoParameters, "pacer", r"NoParameters learns and has no parameters before; give the cla"),
        (Direct, None, "Direct is none of the parts; derive it from one of BasePlanner, BasePacer"),
        (OfNoBase, "planner", "OfNoBase is none of the parts; derive it from one of BasePlanner"),
        (
            ListedParts,
            "executor",
            r"ListedParts.parts is \('pacer', 'ranker'\); allowed is the kind",
        ),
        (
            TupleSettings,
            "planner",
            r"TupleSettings.Settings.sizes has type tuple\[int, \.\.\.\]; al",
        ),
        (
            LiteralSettings,
            "planner",
            r"LiteralSettings.Settings.colour has type .*Literal\['red', ",
        ),
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
