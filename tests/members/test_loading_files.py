"""World files of a user: they build on others, and a bad one is refused in one line."""

import tracemalloc
from pathlib import Path

import pytest

from slowfast_rl.members.loading import config_folder, load_world
from tests.damage import damaged, payload

#: Each line holds the one above ten times; written out it has 10^40 values.
BOMB = "a0: &a0 [0]\n" + "\n".join(
    f"a{i}: &a{i} [{', '.join([f'*a{i - 1}'] * 10)}]" for i in range(1, 41)
)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("- 1", "holds list; a mapping is needed"),
        ("a: [", "is not YAML: .* in line 1"),
        ("base: atlantis", "unknown world 'atlantis'"),
        ("a: \x01", "is not YAML: unacceptable character"),
        ("opt_out: {hazard: 0}\nopt_out: {ceiling: 1}", "it gives 'opt_out' twice"),
        ("churn: {floor: 0, floor: 1}", "it gives 'floor' twice; allowed is once"),
        ("churn: &churn [*churn]", "it holds an alias of what the alias is in"),
        ("churn: !!python/object/apply:os.getcwd []", "is not YAML: could not determine a constr"),
        ("churn: 2024-99-99", "month must be in 1..12"),
        (f"churn: {'9' * 5000}", "Exceeds the limit"),
        ("[" * 100_000, "it is nested too deeply"),
        ("- " * 3000, "it is nested too deeply"),
        (f"# {'long ' * 100_000}", "it has more than 262144 bytes"),
        (BOMB, "it has more than 50000 values, with those that aliases repeat"),
        ("base: [pronounced]", r"base is \['pronounced'\]; the name or path of a world"),
        ("base: pronounced\nchurn: {flor: 1}", "unknown parameter 'flor' in churn"),
    ],
)
def test_a_bad_file_is_refused(tmp_path: Path, content: str, message: str) -> None:
    path = tmp_path / "bad.yaml"
    path.write_text(content)
    with pytest.raises(ValueError, match=message) as raised:
        load_world(path)
    assert "\n" not in str(raised.value)
    assert len(str(raised.value)) < 500


def test_a_bomb_of_aliases_takes_little_memory(tmp_path: Path) -> None:
    path = tmp_path / "bomb.yaml"
    path.write_text(BOMB)
    tracemalloc.start()
    with pytest.raises(ValueError, match="more than 50000 values"):
        load_world(path)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 5_000_000


def test_a_damaged_file_is_refused_in_one_line_or_is_a_world(tmp_path: Path) -> None:
    path, planted = tmp_path / "damaged.yaml", tmp_path / "planted"
    whole = (config_folder() / "world" / "pronounced.yaml").read_bytes()
    tag = f"churn: !!python/object/apply:pathlib.Path.touch [{planted}]\n".encode()
    taken = 0
    for content in [payload(planted), tag, whole + tag, *damaged(whole, 200)]:
        path.write_bytes(content)
        try:
            load_world(path)
        except ValueError as error:
            refused = str(error)
        else:  # a file that anybody may write by hand has no digest
            taken += 1
            continue
        assert "\n" not in refused
        assert len(refused) < 500
    assert taken < 150
    assert not planted.exists()


def test_a_missing_file_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"gone.yaml' cannot be read: No such file"):
        load_world(tmp_path / "gone.yaml")


def test_files_that_are_each_others_base_are_refused(tmp_path: Path) -> None:
    (tmp_path / "a.yaml").write_text(f"base: {tmp_path}/b.yaml")
    (tmp_path / "b.yaml").write_text(f"base: {tmp_path}/a.yaml")
    with pytest.raises(ValueError, match=r"a.yaml' is its own base"):
        load_world(tmp_path / "a.yaml")


def test_a_users_file_builds_on_a_users_file(tmp_path: Path) -> None:
    (tmp_path / "a.yaml").write_text("base: calibrated\nreward: {churn: 3}")
    (tmp_path / "b.yaml").write_text(f"base: {tmp_path}/a.yaml\nreward: {{opt_out: 2}}")
    world = load_world(tmp_path / "b.yaml")
    assert world.name == "b"
    assert (world.reward.churn, world.reward.opt_out, world.reward.message_cost) == (3, 2, 0.0005)
