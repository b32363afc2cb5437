"""Hydra with this library's settings: search path, options of groups, direction of sweeps."""

from pathlib import Path
from typing import Any

from hydra._internal.config_loader_impl import ConfigLoaderImpl
from hydra._internal.hydra import Hydra
from hydra._internal.utils import create_config_search_path
from hydra.core.config_search_path import SearchPathQuery
from hydra.core.config_store import ConfigStore
from hydra.core.global_hydra import GlobalHydra
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.override_parser.types import Override
from hydra.types import RunMode
from omegaconf import DictConfig, OmegaConf

from slowfast_rl.cli.schema import SETTINGS_SUFFIX

CONFIG_DIR = "command-line"  # hydra's name for what --config-dir adds to the search path


def make_hydra(name: str, folder: str, config_dir: str | None) -> Hydra:
    """Return hydra for a command, as ``hydra.main`` sets it up.

    Args:
        name: the name of the command.
        folder: the folder of the library's YAML files.
        config_dir: the user's ``--config-dir``.

    Raises:
        ValueError: ``config_dir`` does not exist.
    """
    OmegaConf.register_new_resolver(
        "first_given",
        lambda *values: next((v for v in values if v not in (None, "null")), None),
        replace=True,
    )
    search_path = create_config_search_path(folder)
    if config_dir is not None:
        if not Path(config_dir).is_dir():
            raise ValueError(f"--config-dir is {config_dir}; allowed is a folder that exists")
        where = f"file://{Path(config_dir).absolute()}"
        search_path.prepend(CONFIG_DIR, where, SearchPathQuery(provider="schema"))
    _maximise_by_default()
    hydra = Hydra(task_name=name, config_loader=Loader(search_path))
    GlobalHydra.instance().initialize(hydra)
    return hydra


class Loader(ConfigLoaderImpl):
    """Hydra's loader, with two rules of this library about the options of a group."""

    def load_configuration(
        self,
        config_name: str | None,
        overrides: list[str],
        run_mode: RunMode,
        from_shell: bool = True,
        validate_sweep_overrides: bool = True,
    ) -> DictConfig:
        """Compose a configuration.

        As a world's option, null is a name, because there is a world of this name; another group's
        null leaves the group out, as hydra's ``~group`` does. Where a sweep
        chooses among options, the configuration of the whole sweep has the first one: hydra would
        apply other overrides, such as ``slow.num_envs=64``, to the default option.
        """
        groups = set(self.list_groups(""))
        composed = overrides
        if run_mode == RunMode.MULTIRUN:
            parsed = OverridesParser.create(self).parse_overrides(overrides)
            composed = [_first_option(override, groups) for override in parsed]
        named = {f"{group}=null": f"~{group}" for group in groups} | {"world=null": "world='null'"}
        composed = [named.get(line, line) for line in composed]
        given = dict(zip(composed, overrides, strict=True))
        config = super().load_configuration(
            config_name, composed, run_mode, from_shell, validate_sweep_overrides
        )
        config.hydra.overrides.task = [given[line] for line in config.hydra.overrides.task]
        return config

    def get_group_options(self, *args: Any, **kwargs: Any) -> list[str]:
        """Return the options of a group, without the nodes that hold settings of a class."""
        options = super().get_group_options(*args, **kwargs)
        return [option for option in options if not option.endswith(SETTINGS_SUFFIX)]


def _first_option(override: Override, groups: set[str]) -> str:
    """Return an override with the first option of a sweep over a group; others as they are."""
    if override.is_discrete_sweep() and override.key_or_group in groups:
        return f"{override.get_key_element()}={next(override.sweep_string_iterator())}"
    return str(override.input_line)


def _maximise_by_default() -> None:
    """Let the Optuna sweeper, which minimises by default, maximise the returns of commands."""
    store = ConfigStore.instance()
    if "optuna.yaml" in store.repo["hydra"]["sweeper"]:
        node = store.load("hydra/sweeper/optuna.yaml").node
        node.direction = "maximize"
        store.store("optuna", node, "hydra/sweeper", provider="slowfast_rl")
