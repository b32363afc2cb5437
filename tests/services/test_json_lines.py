"""Every line is answered, and every answered decision is in the log, whatever happens."""

import errno
import json
import logging
import os
import resource
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest

from slowfast_rl.fast import AffinityRanker, PacedExecutor
from slowfast_rl.members.clock import DAY_SECONDS, WEEK_SECONDS
from slowfast_rl.members.observations import opportunity_observation
from slowfast_rl.members.population import Population
from slowfast_rl.services import served_plans
from slowfast_rl.services.json_lines import LONGEST_LINE, JsonLinesService
from slowfast_rl.services.line_batches import line_batches
from slowfast_rl.services.store_clock import CLOCK
from slowfast_rl.store import (
    InMemoryFeatureStore,
    SharedMemoryFeatureStore,
    pacing_plan,
    plan_view,
    write_plans,
)
from tests.agents.cases import WEIGHTS
from tests.members.worlds import world
from tests.services.decisions import read_log

WORLD = world("pronounced")
MEMBERS = 40
OBS = opportunity_observation(Population(WORLD, MEMBERS))
NOW = 2 * WEEK_SECONDS + 5


def service(folder: Path, store=None, w=WORLD) -> JsonLinesService:
    store = InMemoryFeatureStore() if store is None else store
    executor = PacedExecutor(ranker=AffinityRanker.with_weights(WEIGHTS))
    return JsonLinesService(w, executor, store, 0, folder)


def planned_store(store=None, count: int = MEMBERS):
    store = InMemoryFeatureStore() if store is None else store
    store.apply([plan_view(len(WORLD.channels))])
    plan = pacing_plan(np.tile([5, 2], (count, 1)), NOW // WEEK_SECONDS)
    write_plans(store, np.arange(count), plan, NOW)
    return store


def line(member: int, now=NOW, observation=None, **changes) -> str:
    numbers = OBS[member % MEMBERS].tolist() if observation is None else observation
    return json.dumps({"member": member, "now": now, "observation": numbers} | changes)


def hostile(generator: np.random.Generator) -> bytes:
    """A line that no decision may follow from, of a kind that the generator chooses."""
    numbers: list = OBS[0].tolist()
    place = int(generator.integers(len(numbers)))
    member = int(generator.integers(1000, 2000))
    digits = int(generator.integers(20, 6000))
    depth = int(generator.integers(1, 50_000))
    junk = generator.bytes(int(generator.integers(1, 300))).replace(b"\n", b" ")
    values = [
        float("nan"), float("inf"), -float("inf"), 1e300, -1e39, 10**400, None, "1", "\ud800", [],
        {}, True, -0.5, 2**63,
    ]  # fmt: skip
    numbers[place] = values[generator.integers(len(values) - 2)]
    whole = json.dumps({"member": member, "now": NOW, "observation": numbers})
    good = line(member)
    kinds = [
        junk, b"\xff\xfe" + good.encode(), b"[" * depth, b'{"a":' * depth, b"]" * depth, b'"',
        whole.encode(), good[: generator.integers(1, len(good))].encode(),
        b'{"member":1,"now":0,"observation":[1' + b"0" * digits + b"]}",
        b'{"member":1' + b"0" * digits + b',"now":0,"observation":[]}',
        good.replace('"now"', '"member"', 1).encode(),
        good.replace('"now": ', '"now": 1, "now": ', 1).encode(),
        good.replace('"member"', '"Member"', 1).encode(),
        json.dumps({"member": member, "now": NOW, "observation": numbers + numbers}).encode(),
        json.dumps({"member": member, "now": NOW, "observation": numbers[:-1]}).encode(),
        json.dumps({"member": member, "now": NOW, "observation": "x" * len(numbers)}).encode(),
        json.dumps({"member": member, "now": NOW, "observation": {}}).encode(),
        good.replace(f'"member": {member}', f'"member": {json.dumps(values[place % 12])}').encode(),
        line(member, now=values[generator.integers(len(values))]).encode(),
        line(member, now=2**62 - int(generator.integers(1000))).encode(),
        line(member, forget=3).encode(), b'{"forget": "all"}', b'{"forget": -1}',
        b'{"forget": [1, 2]}', b"null", b"17", b'"text"', b"NaN", b"-", b"{}", b"[]",
        b" " * 100 + b"x", b"x" * (LONGEST_LINE + 5), "\ufeff{}".encode(),
        line(member, observation=[[n] for n in numbers]).encode(),
    ]  # fmt: skip
    return kinds[generator.integers(len(kinds))]


def test_every_hostile_line_is_answered_and_good_ones_as_if_it_were_not_there(tmp_path) -> None:
    generator = np.random.default_rng(0)
    good, mixed = [], []
    for number in range(3000):
        if number % 15 == 0:
            member = number // 15 % MEMBERS
            good.append(line(member, now=NOW + number).encode())
            mixed.append(good[-1])
        else:
            mixed.append(hostile(generator))
    alone = service(tmp_path / "alone", planned_store()).respond_all(good)
    harried = service(tmp_path / "mixed", planned_store())
    answers = [
        answer for i in range(0, 3000, 7) for answer in harried.respond_all(mixed[i : i + 7])
    ]
    assert len(answers) == len(mixed)
    assert answers[::15] == alone
    assert {answer["plan_source"] for answer in alone} == {"plan"}
    refused = [answer for i, answer in enumerate(answers) if i % 15]
    for answer, given in zip(refused, (m for i, m in enumerate(mixed) if i % 15), strict=True):
        assert list(answer) == ["error"], given[:200]
        assert 5 < len(answer["error"]) <= 300
        assert "\n" not in answer["error"]
        json.dumps(answer)


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ('{"member":1,"now":0,"observation":[1' + "0" * 400 + "]}", "observation needs"),
        (line(1, observation=[10**400] * OBS.shape[1]), "observation needs"),
        (b'{"member": 1\xff}', "not UTF-8: invalid start byte at byte 12"),
        (line(1, now=2**62), "now is 4611686018427387904; allowed is 0 to"),
        (line(1).replace('"now"', '"member"', 1), "a key comes twice"),
        (line(1, observation=[True] * OBS.shape[1]), "observation needs"),
        (line(1, observation=["0"] * OBS.shape[1]), "observation needs"),
        (b"x" * (LONGEST_LINE + 1), "the line is too long; allowed are 1,048,576 bytes"),
        ('{"forget": 1, "now": 0}', "beside forget no other key"),
    ],
)
def test_a_bad_line_is_answered_with_what_is_wrong(given, words, tmp_path) -> None:
    assert words in service(tmp_path).respond(given)["error"]


def test_a_time_in_the_far_future_does_not_outdate_the_plan_that_a_member_has(tmp_path) -> None:
    store = planned_store()
    harmed = service(tmp_path, store)
    before = harmed.respond(line(3))
    assert "error" in harmed.respond(line(3, now=2**62))
    store.delete("plans", [3])
    assert harmed.respond(line(3)) == before


def test_a_time_a_year_after_the_clock_in_the_store_is_refused(tmp_path) -> None:
    store = planned_store()
    asked = service(tmp_path, store)
    assert "error" not in asked.respond(line(1, now=NOW + 60 * WEEK_SECONDS))  # there is no clock
    asked = service(tmp_path, store)
    row = {"week": np.array([2]), "service": np.array([7])}
    store.write_to_online_store(CLOCK, [0], row, NOW)
    latest = NOW + 52 * WEEK_SECONDS
    assert "error" not in asked.respond(line(1, now=latest))
    assert f"allowed is 0 to {latest}" in asked.respond(line(1, now=latest + 1))["error"]
    store.write_to_online_store(CLOCK, [0], row, NOW + DAY_SECONDS)
    assert "error" not in asked.respond(line(1, now=latest + 1))


def test_a_stored_plan_that_observations_do_not_suffice_for_is_spread_evenly_and_told_once(
    tmp_path, monkeypatch
) -> None:
    told = []
    monkeypatch.setattr(
        served_plans._LOG, "warning", lambda text, *values: told.append(text % values)
    )
    w = world("shaped")
    store = planned_store()
    ids, week = np.array([50, 51]), NOW // WEEK_SECONDS
    for member, shape in zip(ids, (2, 999), strict=True):  # of launches; offered by no world
        plan = pacing_plan([[5, 2]], week, shape=shape)
        write_plans(store, ids[ids == member], plan, NOW)
    asked = service(tmp_path, store, w)
    answers = [asked.respond(line(member)) for member in (1, 50, 51, 2, 50)]
    for answer in answers:
        assert answer["plan_source"] == "plan"
        assert answer["target"] in (5, 2)
        assert answer["sent_this_week"] <= answer["cap"]
    (warning,) = told
    assert "the plan of member 50 has shape" in warning


def test_a_view_that_another_process_removed_is_registered_again(tmp_path) -> None:
    store = planned_store(SharedMemoryFeatureStore("test", tmp_path))
    asked = service(tmp_path, store)
    assert asked.respond(line(1))["plan_source"] == "plan"
    SharedMemoryFeatureStore("test", tmp_path).restore(InMemoryFeatureStore().snapshot())
    assert asked.respond(line(1))["plan_source"] == "plan"  # remembered, of this week
    assert asked.respond(line(2))["plan_source"] == "safe"
    planned_store(store)
    assert asked.respond(line(2))["plan_source"] == "plan"


def test_a_member_is_forgotten_when_a_line_says_so(tmp_path) -> None:
    store = planned_store()
    asked = service(tmp_path, store)
    assert asked.respond(line(1))["plan_source"] == "plan"
    assert asked.respond('{"forget": 1}') == {"forgot": 1}
    assert asked.respond('{"forget": 12345}') == {"forgot": 12345}
    assert asked.respond(line(1))["plan_source"] == "safe"
    assert asked.respond(line(2))["plan_source"] == "plan"


def logged(folder: Path) -> list[tuple[int, int]]:
    log = read_log(folder / "decisions")
    return list(zip(log["member"].to_pylist(), log["time"].to_pylist(), strict=True))


def test_decisions_are_in_the_log_before_they_are_answered_and_after_a_kill(tmp_path) -> None:
    asked = service(tmp_path, planned_store())
    answers = asked.respond_all([line(member) for member in range(30)])
    (journal,) = (tmp_path / "journal").iterdir()
    rows = [json.loads(row) for row in journal.read_text().splitlines()]
    assert rows == answers
    del asked  # as if killed: nothing is closed
    service(tmp_path)
    assert logged(tmp_path) == [(member, NOW) for member in range(30)]
    assert not list((tmp_path / "journal").iterdir())


def test_a_torn_last_record_is_left_out_and_the_others_are_recovered(tmp_path) -> None:
    for cut in (1, 17, 200):
        folder = tmp_path / str(cut)
        service(folder, planned_store()).respond_all([line(member) for member in range(3)])
        (journal,) = (folder / "journal").iterdir()
        journal.write_bytes(journal.read_bytes()[:-cut])
        service(folder)
        assert logged(folder) == [(0, NOW), (1, NOW)]


def test_a_kill_between_a_part_and_the_end_of_its_journal_logs_no_decision_twice(tmp_path) -> None:
    asked = service(tmp_path, planned_store())
    asked.respond_all([line(member) for member in range(3)])
    (journal,) = (tmp_path / "journal").iterdir()
    content = journal.read_bytes()
    asked.rest()
    journal.write_bytes(content)  # as if the kill came before it was deleted
    service(tmp_path)
    assert logged(tmp_path) == [(0, NOW), (1, NOW), (2, NOW)]


def test_a_damaged_journal_is_kept_apart_and_the_service_begins(tmp_path) -> None:
    (tmp_path / "journal").mkdir(parents=True)
    (tmp_path / "journal" / "part-1.jsonl").write_text('{"member": "x", "time": []}\n')
    asked = service(tmp_path, planned_store())
    asked.respond(line(1))
    asked.rest()
    assert logged(tmp_path) == [(1, NOW)]
    assert [path.name for path in (tmp_path / "journal").iterdir()] == ["part-1.damaged"]


@contextmanager
def full_disk(room: int):
    """Let no file grow beyond some bytes: a write is cut there, and the next one fails."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (room, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


def test_on_a_full_disk_no_decision_is_made_it_is_told_once_and_the_log_stays_whole(
    tmp_path, caplog
) -> None:
    asked = service(tmp_path, planned_store())
    assert "error" not in asked.respond(line(0))
    size = next((tmp_path / "journal").iterdir()).stat().st_size
    with full_disk(size + 100):
        answers = asked.respond_all([line(1), "no JSON", line(2)])
        answers += [asked.respond(line(3))]
    assert [list(answer) for answer in answers] == [["error"]] * 4
    for i in (0, 2, 3):
        assert "the decision cannot be logged" in answers[i]["error"]
    assert "not JSON" in answers[1]["error"]
    assert "error" not in asked.respond(line(4))
    told = [record.getMessage() for record in caplog.records]
    assert [words.partition(":")[0] for words in told] == [
        "decisions cannot be logged and are refused", "decisions are logged again",
    ]  # fmt: skip
    asked.rest()
    assert logged(tmp_path) == [(0, NOW), (4, NOW)]


def test_a_part_that_finds_no_room_is_written_later(tmp_path, caplog, monkeypatch) -> None:
    library = logging.getLogger("slowfast_rl")  # as it is before a command has set it up
    monkeypatch.setattr(library, "handlers", [])
    monkeypatch.setattr(library, "propagate", True)
    asked = service(tmp_path, planned_store())
    asked.respond_all([line(0), line(1)])
    with full_disk(100):
        asked.rest()
        asked.rest()
    assert len(caplog.records) == 1
    assert not list(tmp_path.glob("decisions/*"))
    asked.respond(line(2))
    asked.rest()
    assert logged(tmp_path) == [(0, NOW), (1, NOW), (2, NOW)]


def test_a_batch_of_lines_is_logged_with_one_write(tmp_path, monkeypatch) -> None:
    asked = service(tmp_path, planned_store())
    write, sizes = os.write, []

    def counted(file: int, content: bytes) -> int:
        sizes.append(len(content))
        return write(file, content)

    monkeypatch.setattr("slowfast_rl.services.journal.os.write", counted)
    asked.respond_all([line(member) for member in range(40)])
    asked.respond_all(["no JSON"])
    assert len(sizes) == 1


def test_a_thousand_decisions_become_a_part_of_the_log(tmp_path) -> None:
    asked = service(tmp_path, planned_store())
    for second in range(50):
        asked.respond_all([line(member, now=NOW + second) for member in range(40)])
    parts = sorted((tmp_path / "decisions").iterdir())
    assert len(parts) == 2
    assert not list((tmp_path / "journal").iterdir())
    assert len(logged(tmp_path)) == 2000


def test_lines_come_in_the_batches_in_which_they_arrive_and_long_ones_are_cut() -> None:
    reads, writes = os.pipe()
    batches = line_batches(reads, longest=10, idle_seconds=0.01)
    assert next(batches) == []
    os.write(writes, b"one\ntwo\r\nthr")
    assert next(batches) == [b"one", b"two\r"]
    os.write(writes, b"ee\n" + b"x" * 1000)
    assert next(batches) == [b"three"]
    os.write(writes, b"x" * 1000 + b"\n\nlast")
    long, empty = next(batches)
    assert len(long) > 10
    assert empty == b""
    os.close(writes)
    assert list(batches) == [[b"last"]]
    os.close(reads)


def test_a_write_that_fails_at_once_is_refused_too(tmp_path, monkeypatch) -> None:
    asked = service(tmp_path, planned_store())

    def fail(*_: object) -> int:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr("slowfast_rl.services.journal.os.write", fail)
    assert "No space left" in asked.respond(line(1))["error"]
