"""Parts that a user could have written; in a module, so that a saved agent can name them."""

from dataclasses import dataclass

import numpy as np

import slowfast_rl as sf


@dataclass(frozen=True, kw_only=True)
class OwnSettings(sf.Settings):
    sends: int = sf.setting(2, "pushes a week", low=0, high=14)


class OwnPlanner(sf.slow.BasePlanner):
    name = "own"
    Settings = OwnSettings

    def learn(self, world, *, seed=0):
        self.bonus = seed
        return self

    def plan(self, request):
        plan = self.world.plan_index((self.settings.sends + getattr(self, "bonus", 0), 1))
        return np.full(len(request.entity_ids), plan)

    def state(self):
        return {"bonus": self.bonus}

    @classmethod
    def from_state(cls, world, settings, state, **parts):
        planner = cls(settings).prepare(world)
        planner.bonus = state["bonus"]
        return planner


class OwnRanker(sf.fast.BaseRanker):
    """Content quality plus a learned bonus for launches, as the affinity ranker scores them."""

    name = "own"
    weights = np.zeros(1, np.float32)  # before it learns

    @staticmethod
    def score(opportunity, topic, quality, launch, log, weights):
        return quality + weights[0] * (launch >= opportunity.flag_threshold)

    def learn(self, world, *, seed=0):
        self.weights = np.array([0.5], np.float32)
        return self


class OwnPacer(sf.fast.BasePacer):
    """The exact pacer written again, without pacing shapes."""

    name = "own"

    @staticmethod
    def pace(opportunity, plan_rows, pacing):
        left = plan_rows[opportunity.row, 2 * opportunity.channel] - opportunity.sent
        if opportunity.opted_in == 0:
            left = 0
        return -np.inf, max(left, 0), opportunity.slots_left


class OwnExecutor(sf.fast.BaseExecutor):
    name = "own"

    def act(self, observations, masks, coins):
        return np.where((coins < 0.4) & (masks[:, 1] > 0), 1, 0)


class OwnSinglePolicy(OwnExecutor):
    name = "own_single"
    planned = False
