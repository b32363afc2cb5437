"""Fit a world's parameters to a company's weekly log."""

from slowfast_rl.fitting.fit_world import fit
from slowfast_rl.fitting.parameters import FITTED
from slowfast_rl.fitting.result import Fit
from slowfast_rl.fitting.settings import FitSettings

__all__ = ["FITTED", "Fit", "FitSettings", "fit"]
