"""The planners' door: settings and weights that do not fit stop here, in one line."""

from collections.abc import Iterable, Mapping
from math import isfinite
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

_WHOLE = {
    "num_envs": (1, 2**24), "weeks": (1, 2**16), "n_steps": (1, 2**24), "batch_size": (2, 2**31),
    "n_epochs": (1, 1000), "hidden": (1, 4096),
}  # fmt: skip
_NUMBERS = {"learning_rate": (0.0, 1.0), "gae_lambda": (0.0, 1.0), "ent_coef": (0.0, 1e6)}


def check_settings(settings: Mapping[str, Any]) -> None:
    """Pass the settings of a PPO planner.

    Raises:
        ValueError: one is of the wrong type or outside what is allowed.
    """
    for name, (least, most) in _WHOLE.items():
        check_whole(name, settings[name], least, most)
    for name, (low, high) in _NUMBERS.items():
        check_number(name, settings[name], low, high)
    if settings["num_envs"] * settings["n_steps"] < 2:
        raise ValueError("num_envs and n_steps are both 1; one must be 2 or more")
    check_device(settings["device"])


def check_whole(name: str, value: Any, least: int, most: int) -> None:
    """Pass a whole number in a range.

    Raises:
        ValueError: it is anything else.
    """
    if type(value) is not int or not least <= value <= most:
        raise ValueError(f"{name} is {value!r}; allowed is a whole number from {least} to {most}")


def check_number(name: str, value: Any, low: float, high: float) -> None:
    """Pass a finite number in a range.

    Raises:
        ValueError: it is anything else.
    """
    if type(value) not in (int, float) or not (isfinite(value) and low <= value <= high):
        raise ValueError(f"{name} is {value!r}; allowed is {low:g} to {high:g}")


def split_version(settings: Mapping[str, Any], known: Iterable[str]) -> tuple[dict[str, Any], int]:
    """Return a saved planner's own settings, and its policy version.

    Raises:
        ValueError: a setting is missing or unknown, or the version is no whole number from 0.
    """
    names = sorted(["policy_version", *known])
    if sorted(settings) != names:
        raise ValueError(f"planner settings are {sorted(settings)}; allowed: {names}")
    version = settings["policy_version"]
    if type(version) is not int or version < 0:
        raise ValueError(f"policy_version is {version!r}; allowed is a whole number from 0")
    return {k: v for k, v in settings.items() if k != "policy_version"}, version


def check_device(device: Any) -> None:
    """Pass a device that torch knows, whether or not this machine has it.

    Raises:
        ValueError: it is neither the CPU nor a CUDA device.
    """
    try:
        kind = torch.device(device).type
    except (RuntimeError, TypeError):
        kind = "unknown"
    if kind not in ("cpu", "cuda"):
        raise ValueError(f"device is {device!r}; allowed is cpu or cuda")


def check_weights(arrays: Mapping[str, NDArray[Any]], wanted: Mapping[str, Tensor]) -> None:
    """Pass a network's arrays.

    Raises:
        ValueError: one is missing, unknown, of another shape or type, or not finite.
    """
    for name in sorted({*arrays, *wanted}):
        if name not in arrays or name not in wanted:
            what = "unknown" if name in arrays else "missing"
            raise ValueError(f"planner weight {name} is {what}; needed: {', '.join(wanted)}")
        array, shape = arrays[name], tuple(wanted[name].shape)
        if array.shape != shape or array.dtype != np.float32:
            raise ValueError(
                f"planner weight {name} is {array.dtype} of shape {array.shape}; "
                f"allowed is float32 of shape {shape}"
            )
        if not np.isfinite(array).all():
            raise ValueError(f"planner weight {name} has values that are not finite numbers")
