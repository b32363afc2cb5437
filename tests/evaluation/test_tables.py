import pytest

import slowfast_rl as sf
from slowfast_rl.evaluation.tables import markdown, terminal
from tests.evaluation.cases import TINY, references, small_world, twins

NAMES = ["never", "always", "best_fixed"]


@pytest.fixture(scope="module", params=[True, False], ids=["references", "no references"])
def board(request):
    known = references() if request.param else None
    agents = NAMES if request.param else NAMES[:2]
    return sf.compare(agents, small_world(), TINY, references=known, twins=twins(), progress=False)


@pytest.mark.parametrize("table", [markdown, terminal])
def test_a_table_has_every_agent_best_return_first(board, table):
    lines = table(board).splitlines()
    best_first = sorted(board.rows, key=lambda row: -row["return"])
    places = [
        next(
            i
            for i, line in enumerate(lines)
            if row["name"] in line.split() and f"{row['return']:.2f}" in line
        )
        for row in best_first
    ]
    assert places == sorted(places)


@pytest.mark.parametrize("table", [markdown, terminal])
def test_a_table_shows_no_number_where_there_is_none(board, table):
    lines = [line for line in table(board).splitlines() if {"never", "–"} <= set(line.split())]
    assert len(lines) == 1  # never is the first: it is compared with nobody
    assert "None" not in table(board)
    assert "nan" not in table(board)


def test_markdown_names_the_best_fixed_plan_where_it_is_known(board):
    if board.references is None:
        assert "Best fixed plan" not in markdown(board)
    else:
        push, email = board.references.best_fixed_plan
        assert f"Best fixed plan: {push} push + {email} email a week" in markdown(board)


def test_every_row_of_a_markdown_table_has_as_many_cells_as_its_header(board):
    tables = [[]]
    for line in markdown(board).splitlines():
        if line.startswith("|"):
            tables[-1].append(line.count("|"))
        elif tables[-1]:
            tables.append([])
    assert [len(set(table)) for table in tables if table] == [1, 1]


def test_the_terminals_table_fits_120_columns(board):
    lines = terminal(board).splitlines()
    start = next(i for i, line in enumerate(lines) if line.startswith("agent"))
    assert max(map(len, lines[start : start + 2 + len(board.rows)])) <= 120
