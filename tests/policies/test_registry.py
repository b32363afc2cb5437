"""Classes are found by name, or by a path that the caller allows."""

import sys
from importlib import import_module

import pytest

from slowfast_rl.policies import registry as registry_module
from slowfast_rl.policies.component_files import from_node, to_node
from slowfast_rl.policies.registry import (
    as_allowed,
    find_class,
    import_class,
    import_path,
    register,
    registered,
)
from slowfast_rl.slow import RolloutPlanner
from tests.members.worlds import world
from tests.policies.classes import Mine, NoName, NoPlan, Taken, node_of


def test_a_name_is_registered_once():
    with pytest.raises(ValueError, match="'rollouts' is registered for slowfast_rl"):
        register(Taken)
    assert register(RolloutPlanner) is RolloutPlanner


def test_a_class_is_found_by_its_name_or_by_a_path_that_is_allowed():
    assert find_class("planner", "rollouts") is RolloutPlanner
    path = f"{NoPlan.__module__}.NoPlan"
    with pytest.raises(ValueError, match="is not allowed"):
        find_class("planner", path)
    with pytest.raises(ValueError, match="NoPlan lacks plan"):
        find_class("planner", path, allow=[NoPlan])


@pytest.mark.parametrize(
    ("path", "message"),
    [
        ("nowhere.Planner", "No module named 'nowhere'"),
        ("slowfast_rl.slow.Nothing", "has no attribute 'Nothing'"),
        ("Planner", "allowed is the import path of a class"),
    ],
)
def test_a_path_that_leads_nowhere_is_refused_with_the_reason(path, message):
    with pytest.raises(ValueError, match=message) as raised:
        import_class(path, "slow._target_")
    assert "\n" not in str(raised.value)


def test_a_registered_class_is_found_by_name_and_path_without_being_allowed(registry):
    path = import_path(Mine)
    for name, advice in (("mine", "that you register"), (path, r"that you name, as in allow=\[")):
        with pytest.raises(ValueError, match=f"planner {name!r} is not allowed; .*ppo.*{advice}"):
            find_class("planner", name)
    assert register(Mine) is Mine
    assert registered("planner")["mine"] is Mine
    assert "mine" not in registered("ranker")
    assert find_class("planner", "mine") is find_class("planner", path) is Mine
    node = to_node(Mine(), "slow", {})
    assert node == {"class": path, "settings": {}, "state": {}, "policy_version": 0}
    assert type(from_node(node, "planner", world("pronounced"), "slow", {})) is Mine
    with pytest.raises(ValueError, match="ranker 'mine' is not allowed"):
        find_class("ranker", "mine")


def test_a_class_that_is_not_complete_cannot_be_registered(registry):
    with pytest.raises(ValueError, match="NoPlan lacks plan"):
        register(NoPlan)
    assert "no_plan" not in registered("planner")


OWN_MODULE = """
import slowfast_rl as sf

@sf.register
class Own(sf.slow.BasePlanner):
    name = "registered_own"

    def plan(self, request):
        return request.entity_ids * 0
"""


def test_a_file_with_a_registered_class_is_loaded_in_a_process_that_has_not_imported_it(
    registry, tmp_path, monkeypatch
):
    (tmp_path / "registering.py").write_text(OWN_MODULE)
    monkeypatch.syspath_prepend(tmp_path)
    node = node_of(import_module("registering").Own())
    monkeypatch.delitem(sys.modules, "registering")
    monkeypatch.delitem(registry_module._REGISTERED, ("planner", "registered_own"))
    given = node, "planner", world("pronounced"), "part", {}
    with pytest.raises(ValueError, match=r"allow=\['registering\.Own'\]"):
        from_node(*given)
    assert from_node(*given, ["registering.Own"]).name == "registered_own"


def test_a_registered_class_of_a_notebook_is_saved_and_found(registry):
    notebook = type("Cell", (NoName,), {"__module__": "__main__", "name": "cell"})
    with pytest.raises(ValueError, match="or register it, so that it can be saved"):
        node_of(notebook())
    register(notebook)
    again = from_node(node_of(notebook()), "planner", world("pronounced"), "part", {})
    assert type(again) is notebook


def test_one_allowed_class_needs_no_list_and_an_iterator_is_read_once():
    path = import_path(Mine)
    for allow in (Mine, path, (Mine,), iter([path])):
        assert find_class("planner", path, allow) is Mine
    assert as_allowed(iter([Mine, path])) == (Mine, path)
