"""The environments' docstrings: every column in the table, and an example that runs."""

import doctest
import re
from itertools import product

import pytest

from slowfast_rl.envs import MessagingEnv, MessagingVectorEnv, PacingEnv, PacingVectorEnv
from slowfast_rl.envs.documentation import observation_table
from slowfast_rl.members.features import Feature

every_environment = pytest.mark.parametrize(
    "environment", [MessagingEnv, MessagingVectorEnv, PacingEnv, PacingVectorEnv]
)


def numbers(cell: str) -> list[int]:
    """The column numbers of a cell such as "5-8, 11"."""
    ends = [part.split("-") for part in cell.split(", ")]
    return [number for run in ends for number in range(int(run[0]), int(run[-1]) + 1)]


def names(cell: str) -> list[str]:
    """The names of a cell such as "`topic_{0, 1}_sends`"."""
    parts = re.split(r"\{(.*?)\}", cell.strip("`"))
    return ["".join(chosen) for chosen in product(*(part.split(", ") for part in parts))]


def columns(text: str) -> list[tuple[int, Feature]]:
    """The numbers and features of all columns in the tables of a docstring."""
    found = []
    for line in text.splitlines():
        cells = [cell.strip() for cell in line.strip().strip("|").split("|")]
        if len(cells) == 5 and cells[0][0].isdigit():
            _, name, low, high, unit = cells
            found += [
                (number, Feature(name, unit, float(low), float(high)))
                for number, name in zip(numbers(cells[0]), names(name), strict=True)
            ]
    return found


@every_environment
def test_the_tables_hold_every_column_once_with_name_unit_and_bounds(environment: type) -> None:
    env = environment(privileged=True)
    found = sorted(columns(environment.__doc__ or ""), key=lambda column: column[0])
    assert found == list(enumerate(env.features))


@every_environment
def test_the_tables_hold_at_most_80_rows(environment: type) -> None:
    lines = [line for line in (environment.__doc__ or "").splitlines() if "`" in line]
    assert sum(line.strip().startswith("|") for line in lines) <= 80


@every_environment
def test_the_example_runs(environment: type) -> None:
    text = environment.__doc__ or ""
    example = doctest.DocTestParser().get_doctest(text, {}, environment.__name__, None, 0)
    assert len(example.examples) > 10
    assert doctest.DocTestRunner().run(example).failed == 0


def test_columns_of_other_units_or_bounds_have_rows_of_their_own() -> None:
    features = [
        Feature("a_this_week", "sends", 0, 7),
        Feature("a_last_week", "sends", 0, 7),
        Feature("a_mean_4_weeks", "sends a week", 0, 7),
        Feature("b_1_is_topic_0", "0 or 1", 0, 1),
        Feature("b_1_score", "logits", -2.5, 2.5),
        Feature("b_2_is_topic_0", "0 or 1", 0, 1),
    ]
    assert observation_table(features, 3).splitlines() == [
        "| Num  | Observation                | Min  | Max | Unit         |",
        "|------|----------------------------|------|-----|--------------|",
        "| 3-4  | `a_{this_week, last_week}` | 0    | 7   | sends        |",
        "| 5    | `a_mean_4_weeks`           | 0    | 7   | sends a week |",
        "| 6, 8 | `b_{1, 2}_is_topic_0`      | 0    | 1   | 0 or 1       |",
        "| 7    | `b_1_score`                | -2.5 | 2.5 | logits       |",
    ]
