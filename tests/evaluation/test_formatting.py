import pytest

from slowfast_rl.evaluation import formatting as fmt


def test_intervals_are_shown_with_their_ends_or_half_widths() -> None:
    interval = [0.5, -0.25, 1.25]
    assert fmt.number(interval) == "+0.50 [-0.25, +1.25]"
    assert fmt.number(interval, 1, signed=False) == "0.5 [-0.2, 1.2]"
    assert fmt.half(interval) == "+0.50 ± 0.75"
    assert fmt.half([-0.001, -0.01, 0.01], sign="+z") == "+0.00 ± 0.01"
    assert fmt.percent(interval, 0) == "50 % [-25, 125]"
    assert fmt.points(interval, 0) == "+50 [-25, +125]"


def test_a_number_that_is_not_there_is_a_dash() -> None:
    assert fmt.number(None) == fmt.half(None) == fmt.percent(None) == "–"


def test_a_table_has_a_row_for_each_thing_and_a_cell_for_each_column() -> None:
    rows = [{"n": 2, "square": 4}, {"n": 3, "square": 9}]
    table = fmt.table_of("n | its square", "{n} | {square:.1f}", rows)
    assert table == "| n | its square |\n| --- | --- |\n| 2 | 4.0 |\n| 3 | 9.0 |"


@pytest.mark.parametrize(
    ("cell", "shown"),
    [
        ("{v:+.1i}", "+0.5 [-0.2, +1.2]"),
        ("{v:.2i}", "0.50 [-0.25, 1.25]"),
        ("{v:.0i%}", "50 % [-25, 125]"),
        ("{share:.1 %}", "12.5 %"),
        ("{plan:+}", "5 + 2"),
        ("{v:+.1f/}", "+0.5 / -0.2 / +1.2"),
        ("{vs:.1i;}", "0.5 [-0.2, 1.2]; 0.5 [-0.2, 1.2]"),
        ("{none:.2i}", "–"),
        ("{none}", "–"),
    ],
)
def test_a_cell_shows_intervals_lists_and_plans(cell: str, shown: str) -> None:
    v = [0.5, -0.25, 1.25]
    table = fmt.table_of(
        "x", cell, [{"v": v, "vs": [v, v], "plan": (5, 2), "share": 0.125, "none": None}]
    )
    assert table.splitlines()[-1] == f"| {shown} |"


def test_paragraphs_leave_out_what_is_empty() -> None:
    assert fmt.paragraphs("a", "", "b") == "a\n\nb"
