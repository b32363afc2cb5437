"""Agents of anybody: a file is read with bounded work, runs nothing and is refused if damaged."""

import io
import json
import tracemalloc
import zipfile

import numpy as np
import pytest
import torch
from numpy.testing import assert_array_equal
from safetensors.numpy import save

from slowfast_rl.agents import SlowFastAgent, disk
from slowfast_rl.fast import PacedExecutor, PPOExecutor
from slowfast_rl.fast.ppo import unit_scale
from slowfast_rl.members.reading import sealed
from slowfast_rl.policies.networks import PassThroughMlp
from slowfast_rl.slow.plan_value import PlanValue
from tests.agents.cases import resealed, untrained_agent
from tests.damage import damaged, payload, pickled
from tests.slow.cases import small_world
from tests.slow.planners import random_ppo, random_rollouts

LEAST_MEMORY = 2_000_000  # bytes that a refusal may take whatever the size of the file


@pytest.fixture(scope="module")
def agent():
    return untrained_agent(small_world())


@pytest.fixture
def zipped(agent, tmp_path):
    agent.save(tmp_path / "agent.zip")
    return tmp_path / "agent.zip"


@pytest.fixture
def folder(agent, tmp_path):
    agent.save(tmp_path / "folder")
    return tmp_path / "folder"


def refusal(path):
    """The one line by which an agent is refused."""
    with pytest.raises(ValueError, match="holds no agent that can be loaded") as raised:
        SlowFastAgent.load(path)
    message = str(raised.value).removeprefix(str(path))
    assert "\n" not in message
    assert len(message) < 700
    return message


def content_of(folder):
    return json.loads((folder / "agent.json").read_text())


def put(folder, **changes):
    """Write other content with a digest that fits."""
    (folder / "agent.json").write_bytes(resealed(content_of(folder) | changes))


def test_the_same_agent_gives_the_same_bytes_at_any_time(agent, tmp_path, monkeypatch):
    agent.save(tmp_path / "now.zip")
    monkeypatch.setattr(zipfile.time, "time", lambda: 2e9)
    monkeypatch.setattr(zipfile.time, "localtime", lambda *_: (2033, 5, 18, 3, 33, 20, 2, 138, 0))
    agent.save(tmp_path / "later.zip")
    assert (tmp_path / "now.zip").read_bytes() == (tmp_path / "later.zip").read_bytes()


class TestDamage:
    """Flipped bits and lost ends."""

    @pytest.mark.parametrize("name", ["agent.json", "weights.safetensors"])
    def test_a_damaged_file_of_a_folder_is_never_loaded(self, folder, name):
        whole = (folder / name).read_bytes()
        for content in damaged(whole, 1000):
            (folder / name).write_bytes(content)
            with pytest.raises(ValueError, match=r"unreadable|weights are not those"):
                disk.read_agent(folder)
        (folder / name).write_bytes(whole)
        disk.read_agent(folder)

    def test_a_damaged_zip_is_refused_or_is_the_same_agent(self, zipped):
        whole = zipped.read_bytes()
        _, content, arrays = disk.read_agent(zipped)
        loaded = 0
        for other in damaged(whole, 1000):
            zipped.write_bytes(other)
            try:
                _, found, weights = disk.read_agent(zipped)
            except ValueError as error:
                refused = str(error)
            else:  # dates and permissions of the archive are not the agent's
                assert found == content
                for name, array in arrays.items():
                    assert_array_equal(weights[name], array)
                loaded += 1
                continue
            assert "\n" not in refused
        assert loaded < 50

    def test_one_changed_digit_is_told(self, folder):
        text = (folder / "agent.json").read_text()
        (folder / "agent.json").write_text(text.replace('"seed": 3', '"seed": 4'))
        assert "it was changed after it was written" in refusal(folder)

    def test_json_without_its_digest_is_refused(self, folder):
        content = content_of(folder)
        del content["sha256"]
        (folder / "agent.json").write_text(json.dumps(content))
        assert "does not begin with the digest" in refusal(folder)


class TestRanges:
    """Content with a digest that fits, which no agent has."""

    @pytest.mark.parametrize(
        ("changes", "message"),
        [
            ({"seed": 2**63}, "seed is 9223372036854775808; allowed is 0 to 4294967295"),
            ({"seed": -1}, "seed is -1; allowed is"),
            ({"seed": True}, "seed is True; allowed is a whole number"),
            ({"train_opportunities": -1}, "train_opportunities is -1"),
            ({"train_opportunities": 2**63}, "train_opportunities is 9223372036854775808"),
            ({"train_cpu_seconds": -0.5}, "train_cpu_seconds is -0.5; allowed is 0 or more"),
            ({"turns": ["fast"] * 10_000}, "turns are ['fast', .*; allowed are slow and fast"),
            ({"turns": [{}]}, "turns are [{}]; allowed are slow and fast"),
            ({"kind": "x" * 10**6}, "kind is 'xxx"),
            ({"name": "x" * 10**6}, "name is 'xxx"),
            ({"name": "two\nlines"}, "name is 'two"),
            ({"world": [["x" * 1000] * 1000]}, "world is [['xxx"),
            ({"plans_for": "x" * 999}, "plans_for is 'xxx"),
            ({"fast": {"x": ["y" * 10**6]}}, "executor is {'x': ['yyy"),
        ],
        ids=lambda value: str(value)[:30],
    )
    def test_content_outside_its_range_is_refused_in_one_line(self, folder, changes, message):
        put(folder, **changes)
        first, *rest = message.split(".*")
        told = refusal(folder)
        assert first in told
        assert all(part in told for part in rest)

    @pytest.mark.parametrize("version", [-1, 2**63, True, 1.0, None])
    def test_a_policy_version_that_no_store_holds_is_refused(self, folder, version):
        slow = content_of(folder)["slow"] | {"policy_version": version}
        put(folder, slow=slow)
        assert "policy_version is" in refusal(folder)

    def test_what_would_be_refused_is_not_saved(self, agent, tmp_path):
        other = untrained_agent(small_world())
        other.seed = 2**63
        with pytest.raises(ValueError, match="seed is 9223372036854775808"):
            other.save(tmp_path / "agent.zip")
        assert not list(tmp_path.iterdir())


class TestSizes:
    """What a file declares is compared with what it holds before any memory is taken."""

    def test_a_compressed_zip_is_refused_before_it_is_unpacked(self, folder, zipped):
        parts = {name: (folder / name).read_bytes() for name in ("weights.safetensors",)}
        with zipfile.ZipFile(zipped, "w", zipfile.ZIP_DEFLATED) as archive:
            archive.writestr("agent.json", b"\0" * 50_000_000)
            archive.writestr("weights.safetensors", parts["weights.safetensors"])
        assert "agent.json is compressed" in self.refused_cheaply(zipped)

    def test_a_zip_with_other_files_is_refused(self, zipped):
        with zipfile.ZipFile(zipped, "a") as archive:
            archive.writestr("more", b"")
        assert "it holds ['weights.safetensors', 'agent.json', 'more']" in refusal(zipped)

    def test_long_json_is_refused_before_it_is_read(self, folder):
        with (folder / "agent.json").open("ab") as file:
            file.truncate(10**9)  # a file with a hole: it takes no disk
        assert "it has more than 16777216 bytes" in refusal(folder)

    def test_deep_json_is_refused(self, folder):
        text = '{"format": 3, "deep": ' + "[" * 100_000
        (folder / "agent.json").write_bytes(sealed(text))
        assert "nested too deeply" in refusal(folder)

    @pytest.mark.parametrize("damage", ["cut", "flip"])
    def test_a_refusal_takes_no_more_than_twice_the_file(self, zipped, folder, damage):
        weights = save({"slow.large": np.zeros(5_000_000, np.float32)})
        (folder / "weights.safetensors").write_bytes(weights)
        self.refused_cheaply(folder)
        with zipfile.ZipFile(zipped, "w") as archive:
            archive.writestr("weights.safetensors", weights)
            archive.writestr("agent.json", (folder / "agent.json").read_bytes())
        content = bytearray(zipped.read_bytes())
        if damage == "cut":
            zipped.write_bytes(content[:-1000])
        else:
            content[len(content) // 2] ^= 1
            zipped.write_bytes(content)
        del content
        self.refused_cheaply(zipped)

    @staticmethod
    def refused_cheaply(path):
        """The refusal, which takes at most twice the size of the files in memory."""
        files = list(path.iterdir()) if path.is_dir() else [path]
        most = 2 * sum(file.stat().st_size for file in files) + LEAST_MEMORY
        refusal(path)  # imports what it needs
        tracemalloc.start()
        told = refusal(path)
        _, peak = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        assert peak <= most
        return told

    @pytest.mark.parametrize("make", [random_ppo, random_rollouts])
    def test_a_planners_nets_larger_than_its_arrays_take_no_memory(
        self, make, tmp_path, monkeypatch
    ):
        agent = SlowFastAgent(make(small_world()), PacedExecutor())
        agent.world = small_world()
        self.check_no_net_is_made(agent, "slow", tmp_path, monkeypatch)

    def test_an_executors_nets_larger_than_its_arrays_take_no_memory(self, tmp_path, monkeypatch):
        agent = untrained_agent(small_world())
        executor = PPOExecutor(hidden=8)
        executor.policy = executor._network(small_world(), unit_scale(small_world()), 0)
        agent.fast = executor
        self.check_no_net_is_made(agent, "fast", tmp_path, monkeypatch)

    @staticmethod
    def check_no_net_is_made(agent, level, tmp_path, monkeypatch):
        agent.save(tmp_path)
        node = content_of(tmp_path)[level]
        node["settings"]["hidden"] = 4096
        put(tmp_path, **{level: node})
        places = []
        for kind in (PassThroughMlp, PlanValue):
            original = kind.__init__

            def noted(self, *arguments, _original=original, **keywords):
                places.append(torch.get_default_device().type)
                _original(self, *arguments, **keywords)

            monkeypatch.setattr(kind, "__init__", noted)
        assert "weight" in refusal(tmp_path)
        assert set(places) == {"meta"}


class TestPayloads:
    """Pickles in the place of what is read."""

    def test_no_planted_pickle_runs(self, zipped, folder, tmp_path):
        planted = tmp_path / "planted"
        code, npz = payload(planted), io.BytesIO()
        np.savez(npz, weights=np.array([1]))
        archive = npz.getvalue()
        for content in (code, pickled({"format": 3}), archive, archive + code):
            zipped.write_bytes(content)
            refusal(zipped)
            for name in ("agent.json", "weights.safetensors"):
                kept = (folder / name).read_bytes()
                (folder / name).write_bytes(content)
                refusal(folder)
                (folder / name).write_bytes(kept)
        with zipfile.ZipFile(zipped, "w") as made:
            made.writestr("agent.json", code)
            made.writestr("weights.safetensors", code)
        refusal(zipped)
        assert not planted.exists()

    @pytest.mark.parametrize("name", ["os.system", "builtins.open", "torch.load", "a" * 10**6])
    def test_a_class_that_is_none_of_the_librarys_is_refused_and_not_imported(self, folder, name):
        slow = content_of(folder)["slow"] | {"class": name}
        put(folder, slow=slow)
        assert "is not allowed" in refusal(folder)
