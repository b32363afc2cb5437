"""Loads the studies; they are scripts, not a package."""

import importlib.util
import sys
from pathlib import Path
from types import ModuleType

import pytest

STUDIES = Path(__file__).parents[2] / "experiments"


def study_module(study: str, name: str = "run") -> ModuleType:
    """Return ``experiments/<study>/<name>.py`` as a module; it may import its neighbours."""
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(STUDIES / study)
        spec = importlib.util.spec_from_file_location(
            f"{study}_{name}", STUDIES / study / f"{name}.py"
        )
        assert spec is not None
        assert spec.loader is not None
        module = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)
    for loaded, neighbour in list(sys.modules.items()):  # another study has one of the same name
        if STUDIES in Path(getattr(neighbour, "__file__", None) or "/").parents:
            del sys.modules[loaded]
    return module
