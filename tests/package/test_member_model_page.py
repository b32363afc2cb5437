"""The page on the member model names every parameter, and its values are those of the worlds."""

import re
from dataclasses import fields
from pathlib import Path

import pytest
import yaml

from slowfast_rl.members.features import opportunity_features, privileged_features, weekly_features
from slowfast_rl.members.loading import load_world
from slowfast_rl.members.parameters import group_types
from slowfast_rl.members.shapes import Shape
from slowfast_rl.members.state import State
from slowfast_rl.members.traits import MemberTraits
from slowfast_rl.members.world import World

ROOT = Path(__file__).parent.parent.parent
PAGE = (ROOT / "docs" / "member-model.md").read_text()
CODE = set(re.findall(r"`([^`\n]+)`", PAGE))  # everything that the page sets as code
HEAD = "| symbol | meaning | unit | YAML | code | `pronounced` | `calibrated` | source |"
WINDOWS = "this_week|last_week|mean_4_weeks|mean_20_weeks"


def yaml_paths():
    """Dotted paths of all parameters in the file of the default world."""
    tree = yaml.safe_load((ROOT / "configs" / "world" / "pronounced.yaml").read_text())
    return sorted(paths_below(tree, "", set(tree["channels"])))


def paths_below(value, path, channels):
    """Paths of what is not nested further; numbers per channel are one parameter."""
    if isinstance(value, list) and value and isinstance(value[0], dict):
        return {p for entry in value for p in paths_below(entry, path, channels)}
    if not isinstance(value, dict) or not value or set(value) == channels:
        return {path}
    return {p for k, v in value.items() for p in paths_below(v, f"{path}.{k}".strip("."), channels)}


def parameter_fields():
    """Dotted paths of all fields of the dataclasses that make a world."""
    groups = group_types()
    paths = [f"{group}.{f.name}" for group, kind in groups.items() for f in fields(kind)]
    paths += [f"shapes.{f.name}" for f in fields(Shape) if f.name != "name"]
    return paths + [f.name for f in fields(World) if f.name not in {"name", *groups}]


def rows():
    """The page's rows of parameters: symbol, meaning, unit, path, code, two values, source."""
    found = []
    for table in PAGE.split(HEAD)[1:]:
        lines = table.strip().split("\n\n")[0].splitlines()[1:]
        found += [[cell.strip() for cell in line.strip("|").split("|")] for line in lines]
    return found


def shown(value):
    """A parameter's value as the page writes it."""
    if value == () or isinstance(value, str):
        return value or "none"
    return " / ".join(f"{x:.10g}" for x in (value if isinstance(value, tuple) else (value,)))


@pytest.mark.parametrize("path", yaml_paths())
def test_every_parameter_of_the_default_world_file_is_on_the_page(path):
    assert path in CODE


@pytest.mark.parametrize("path", parameter_fields())
def test_every_field_of_a_worlds_dataclasses_is_on_the_page(path):
    assert path in CODE


def test_the_tables_list_every_parameter_of_the_groups_once_and_no_other():
    known = [path for path in parameter_fields() if path.split(".")[0] in group_types()]
    assert sorted(row[3].strip("`") for row in rows()) == sorted(known)


def test_every_parameter_on_the_page_has_a_meaning_a_unit_a_name_in_the_code_and_a_source():
    for row in rows():
        assert len(row) == 8, row
        assert all(row), row


@pytest.mark.parametrize(("column", "name"), [(5, "pronounced"), (6, "calibrated")])
def test_the_values_on_the_page_are_those_of_the_world(column, name):
    world = load_world(name)
    for row in rows():
        group, parameter = row[3].strip("`").split(".")
        assert row[column] == shown(getattr(getattr(world, group), parameter)), row[3]


@pytest.mark.parametrize("name", MemberTraits._fields + State._fields)
def test_every_trait_and_state_variable_is_on_the_page(name):
    assert name in CODE


def test_every_feature_and_latent_is_on_the_page_with_placeholders_for_numbers_and_channels():
    world = load_world()
    for feature in (
        weekly_features(world) + opportunity_features(world) + privileged_features(world)
    ):
        name = re.sub(rf"({WINDOWS})$", "<window>", feature.name)
        name = re.sub(rf"(^|(?<=_))({'|'.join(world.channels)})(?=_|$)", "<channel>", name)
        name = re.sub(r"(?<=topic_)\d+", "<d>", re.sub(r"(?<=candidate_)\d+", "<j>", name))
        assert name in CODE, feature.name


def test_the_page_states_how_many_features_an_observation_has():
    world = load_world()
    assert f"({len(weekly_features(world))} features" in PAGE
    assert f"({len(opportunity_features(world))} further features)" in PAGE


def test_the_page_shows_every_world_of_the_library():
    files = {path.name for path in (ROOT / "configs" / "world").glob("*.yaml")}
    assert set(re.findall(r"\(\.\./configs/world/(\w+\.yaml)\)", PAGE)) == files
