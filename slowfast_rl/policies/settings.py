"""A learner's door: settings and weights that do not fit stop here, in one line."""

from collections.abc import Iterable, Mapping
from math import isfinite
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

_WHOLE = {
    "num_envs": (1, 2**24), "weeks": (1, 2**16), "n_steps": (1, 2**24), "batch_size": (2, 2**31),
    "n_epochs": (1, 1000), "hidden": (1, 4096), "states": (2, 2**24), "branches": (2, 2**16),
    "hold": (1, 2**16), "horizon": (1, 2**16), "ages": (1, 2**16), "weeks_between": (1, 2**16),
    "ensemble": (1, 1024), "rank": (1, 4096), "epochs": (1, 1000), "acting": (1, 1024),
}  # fmt: skip
_NUMBERS = {
    "learning_rate": (0.0, 1.0), "gae_lambda": (0.0, 1.0), "ent_coef": (0.0, 1e6),
    "random_share": (0.0, 1.0), "weight_decay": (0.0, 1e3),
}  # fmt: skip
_FLAGS = ("beliefs", "privileged")


def check_settings(settings: Mapping[str, Any]) -> None:
    """Pass the settings of a planner that learns.

    Raises:
        ValueError: one is of the wrong type or outside what is allowed.
    """
    for name, value in settings.items():
        if name in _WHOLE:
            check_whole(name, value, *_WHOLE[name])
        elif name in _NUMBERS:
            check_number(name, value, *_NUMBERS[name])
        elif name in _FLAGS and type(value) is not bool:
            raise ValueError(f"{name} is {value!r}; allowed is true or false")
    if settings.get("num_envs", 2) * settings.get("n_steps", 2) < 2:
        raise ValueError("num_envs and n_steps are both 1; one must be 2 or more")
    if "device" in settings:
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


def split_version(settings: Mapping[str, Any], own: Iterable[str]) -> tuple[dict[str, Any], int]:
    """Return a saved planner's settings and its policy version.

    Args:
        settings: as saved, the version among them.
        own: settings that such a planner has.

    Raises:
        ValueError: one is missing or unknown, or the version is no whole number from 0.
    """
    known = ["policy_version", *own]
    if sorted(settings) != sorted(known):
        raise ValueError(f"planner settings are {sorted(settings)}; allowed: {sorted(known)}")
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
