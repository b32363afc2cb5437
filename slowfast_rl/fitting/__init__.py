"""Fit a world's parameters to a company's weekly log."""

from slowfast_rl.fitting.backtest import Arm
from slowfast_rl.fitting.fit_world import fit
from slowfast_rl.fitting.lift import Lift, lifts_table
from slowfast_rl.fitting.parameters import FITTED
from slowfast_rl.fitting.result import Fit
from slowfast_rl.fitting.settings import FitSettings

__all__ = ["FITTED", "Arm", "Fit", "FitSettings", "Lift", "fit", "lifts_table"]
