"""Loads a module of a study's folder; studies are scripts, not a package."""

import importlib.util
from pathlib import Path
from types import ModuleType

STUDIES = Path(__file__).parents[2] / "experiments"


def study_module(study: str, name: str) -> ModuleType:
    """Return ``experiments/<study>/<name>.py`` as a module."""
    spec = importlib.util.spec_from_file_location(f"{study}_{name}", STUDIES / study / f"{name}.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module
