"""A constructor's signature is the schema of its settings: nothing is written twice."""

import inspect
from collections.abc import Callable, Mapping
from typing import Any, get_type_hints

from hydra.core.config_store import ConfigStore
from hydra.utils import get_class, instantiate
from omegaconf import DictConfig, OmegaConf

_SIMPLE = (bool, int, float, str)


def register_signatures(targets: Mapping[tuple[str, str], str]) -> None:
    """Offer constructors' settings with their defaults as hydra config nodes.

    Args:
        targets: import path by (group, name); a YAML of the group lists ``<name>_signature`` in its
            defaults and holds only what it chooses otherwise.
    """
    for (group, name), path in targets.items():
        parameters = inspect.signature(get_class(path)).parameters.values()
        node = {"_target_": path} | {
            p.name: p.default for p in parameters if isinstance(p.default, (*_SIMPLE, type(None)))
        }
        ConfigStore.instance().store(name=f"{name}_signature", group=group, node=node)


def check_types(target: Callable[..., Any], settings: Mapping[str, Any], where: str) -> None:
    """Raise ValueError for the first setting whose type is not the constructor's."""
    hints = get_type_hints(target.__init__ if inspect.isclass(target) else target)
    for name, value in settings.items():
        wanted = hints.get(name)
        if wanted in _SIMPLE and not _fits(value, wanted):
            raise ValueError(f"{where}{name} is {value!r}; allowed is {wanted.__name__}")


def build(config: DictConfig, where: str) -> Any:
    """Make what a config node describes, checking types first.

    Raises:
        ValueError: a setting is of the wrong type or outside what is allowed.
    """
    settings = {
        k: v for k, v in OmegaConf.to_container(config, resolve=True).items() if k != "_target_"
    }  # type: ignore[union-attr]
    check_types(get_class(config["_target_"]), settings, f"{where}.")  # type: ignore[arg-type]
    return instantiate(config, _convert_="all")


def _fits(value: Any, wanted: type) -> bool:
    if wanted is float:
        return isinstance(value, int | float) and not isinstance(value, bool)
    return isinstance(value, wanted) and (wanted is bool or not isinstance(value, bool))
