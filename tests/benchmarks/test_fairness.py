"""The figures of fairness, in small: what the page promises of every cell."""

import numpy as np
import pytest

from benchmarks.fairness import (
    PAGE,
    TABLES,
    Cell,
    Found,
    cells,
    exact_newcombe,
    measure,
    proved,
)


@pytest.fixture(scope="module")
def found() -> list[Found]:
    """400 audits of some of the cells."""
    some = [cell for cell in cells() if cell.rows in (30, 200) and cell.times == 1]
    return [measure(cell, seed, 400) for seed, cell in enumerate(some)]


def test_intervals_hold_the_truth(found: list[Found]) -> None:
    """As often as is promised, but for what so few audits leave open."""
    assert np.mean([each.newcombe for each in found]) >= 0.945
    assert min(each.newcombe for each in found) >= 0.92
    assert min(each.anytime for each in found) >= 0.95


def test_equal_groups_seldom_alarm(found: list[Found]) -> None:
    """The budget is one in a hundred; the rule of four fifths has no such thing."""
    equal = [each for each in found if each.cell.first == each.cell.second]
    assert max(each.alarms for each in equal) <= 0.02
    assert max(each.at_the_edge for each in found) <= 0.03
    assert max(each.four_fifths for each in equal) > 0.3


def test_the_rule_of_four_fifths_fires_as_often_as_is_known() -> None:
    """Two identical groups at 0.3: 30 % at 100 rows each, 14 % at 200, 2.2 % at 500."""
    for rows, share in ((100, 0.30), (200, 0.14), (500, 0.022)):
        fired = measure(Cell(rows, 1, 0.3, 0.3), 1, 2000).four_fifths
        assert fired == pytest.approx(share, abs=0.03)


def test_the_page_has_a_place_for_every_table() -> None:
    """Each between two comments."""
    text = PAGE.read_text(encoding="utf-8")
    for name in TABLES:
        for end in ("begin", "end"):
            assert f"<!-- written by benchmarks/fairness, {name}: {end} -->" in text


@pytest.mark.parametrize("cell", [Cell(30, 1, 0.3, 0.1), Cell(50, 4, 0.6, 0.6)])
def test_the_exact_coverage_is_what_a_simulation_comes_to(cell: Cell) -> None:
    """2,000 audits, by the interval itself; and no cell is below what is promised."""
    exact = exact_newcombe(cell)
    assert exact == pytest.approx(measure(cell, 3, 2000).newcombe, abs=0.02)
    assert exact >= 0.94


def test_a_reference_helps_to_prove_a_gap() -> None:
    """At 200 rows of each group and a gap of 0.3: more often than without."""
    cell = Cell(200, 1, 0.3 + 0.3, 0.3)
    assert proved(cell, 500, 400) > measure(cell, 0, 400).alarms + 0.1
