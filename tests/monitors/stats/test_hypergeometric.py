"""Tails of counts agree with exact arithmetic, however small and however many the rows."""

from fractions import Fraction
from math import comb

import numpy as np
import pytest

from monitors.stats.hypergeometric import tails


def exact(hits: int, rows: int, all_hits: int, all_rows: int) -> tuple[Fraction, Fraction]:
    """Both chances as fractions."""
    whole = comb(all_rows, rows)
    chances = [
        Fraction(comb(all_hits, count) * comb(all_rows - all_hits, rows - count), whole)
        for count in range(hits, rows + 1)
    ]
    return sum(chances[1:], Fraction(0)), chances[0]


@pytest.mark.parametrize(
    "case",
    [
        (0, 1, 0, 1),
        (0, 0, 3, 9),
        (1, 1, 1, 1),
        (0, 50, 0, 10_000),
        (1, 50, 1, 10_000),
        (50, 50, 50, 10_000),
        (50, 50, 60, 10_000),
        (7, 50, 3_000, 10_000),
        (40, 50, 3_000, 10_000),
        (41, 50, 9_990, 10_000),
        (49, 50, 9_990, 10_000),
        (50, 50, 10_000, 10_000),
        (3, 4, 20, 31),
        (12, 50, 10**8, 10**9),
        (2, 50, 40, 10**9),
        (50, 50, 10**9 - 3, 10**9),
    ],
)
def test_tails_are_exact(case: tuple[int, int, int, int]) -> None:
    """To nine digits, rare and frequent events, few rows and a thousand million."""
    more, as_many = tails(*(np.array([float(each)]) for each in case))
    wanted = exact(*case)
    assert more[0] == pytest.approx(float(wanted[0]), rel=1e-9, abs=1e-300)
    assert as_many[0] == pytest.approx(float(wanted[1]), rel=1e-9, abs=1e-300)


def test_many_cases_at_once_are_each_alone() -> None:
    """Cases that need more steps than others do not disturb them."""
    cases = np.array([(0, 50, 0, 90), (3, 50, 2_000, 6_000), (0, 20, 15, 300)], dtype=np.float64)
    together = tails(*cases.T)
    for at, case in enumerate(cases):
        alone = tails(*case[:, None])
        assert [each[at] for each in together] == pytest.approx([each[0] for each in alone])
