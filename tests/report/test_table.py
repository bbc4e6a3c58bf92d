"""The terminal's table: it fits, and its numbers are the results'."""

import io

import pytest
from rich.console import Console
from rich.table import Table as RichTable

from bayespin.report.reference import PAPER
from bayespin.report.table import HEADER, table


def test_it_fits_in_80_columns(results):
    assert max(map(len, table(results).lines())) <= 80


def test_it_fits_a_terminal_of_80_columns_drawn_by_rich(results):
    drawn, content = RichTable(box=None, pad_edge=False, padding=(0, 1, 0, 0)), table(results)
    for name in content.header:
        drawn.add_column(name, no_wrap=True)
    for cells in content.rows:
        drawn.add_row(*cells)
    screen = io.StringIO()
    Console(file=screen, width=80).print(drawn)
    for cells in content.rows:
        assert any(all(cell in line for cell in cells) for line in screen.getvalue().splitlines())


def test_numbers_equal_the_results(results):
    for cells, row in zip(table(results).rows, results["rows"], strict=False):
        shown = dict(zip(HEADER, cells, strict=True))
        assert float(shown["acc. %"]) == pytest.approx(100 * row["accuracy"], abs=0.005)
        assert float(shown["NLL"]) == pytest.approx(row["nll"], abs=5e-4)
        assert float(shown["ECE"]) == pytest.approx(row["ece"], abs=5e-5)
        assert float(shown["OOD ECE"]) == pytest.approx(row["ood_ece"]["0.5"], abs=5e-5)
    assert table(results).rows[4][-2:] == ("1.19 µJ", "2.31 ms")
    assert table(results).rows[0][-3:] == ("–", "–", "–")


def test_the_paper_stands_below(results):
    ours = len(results["rows"])
    assert [float(cells[1]) for cells in table(results).rows[ours:]] == [90.09, 90.15, 89.7]
    assert [cells[5] for cells in table(results).rows[ours:]] == ["0.3435", "0.0918", "0.1066"]
    assert [row.ece for row in PAPER] == [0.0328, 0.0156, 0.0135]


def test_quick_is_said_first(make_results):
    assert table(make_results(True)).notes[0].startswith("Quick run")
    assert not any("Quick" in note for note in table(make_results(False)).notes)


def test_nothing_measured_is_dashes():
    row = {"model": "bnn", "where": "spintronic", "sampling": "per_read", "accuracy": None}
    assert table({"rows": [row]}).rows[0] == ("BNN, spintronic", *["–"] * 8)
    assert len(table({}).rows) == len(PAPER)
