"""Sums without rounding: in any order, and with nothing left when all is taken away."""

from __future__ import annotations

from fractions import Fraction
from math import fsum

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from monitors.stats.exact_sums import exact_sum, exact_sums, mean_and_deviation, ratio, squares

FLOATS = st.lists(st.floats(allow_nan=False, allow_infinity=False), max_size=20)


def units(numbers: list[float]) -> Fraction:
    """The sum of fractions, in the units of `exact_sum`."""
    return sum(map(Fraction, numbers), Fraction(0)) * 2**1126


@given(FLOATS)
def test_it_is_the_sum_of_fractions(numbers: list[float]) -> None:
    """The smallest, the largest and the subnormal too."""
    assert exact_sum(np.array(numbers, dtype=np.float64)) == units(numbers)


def test_nothing_is_left_where_plain_sums_leave_dust() -> None:
    """Parts in another order are taken away from the whole."""
    rng = np.random.default_rng(0)
    numbers = rng.standard_normal(10_000) * 10.0 ** rng.integers(-9, 9, 10_000)
    assert numbers.sum() - numbers[::-1].cumsum()[-1] != 0
    whole = exact_sum(numbers)
    backwards = numbers[::-1]
    parts = sum(exact_sum(-backwards[at : at + 7]) for at in range(0, len(backwards), 7))
    assert whole + parts == 0
    assert ratio(whole) == fsum(numbers.tolist())


def test_many_rows_do_not_overflow() -> None:
    """A million of the largest mantissas."""
    numbers = np.full(1_000_000, 2.0 - 2.0**-52)
    assert exact_sum(numbers) == units([2.0 - 2.0**-52]) * 1_000_000


def test_mean_and_deviation_keep_their_digits_far_from_zero() -> None:
    """Where the textbook formula in floats has none left."""
    numbers = [1e8 + each for each in (0.0, 1.0, 2.0)]
    squared = exact_sum(np.concatenate(squares(np.array(numbers))))
    found = mean_and_deviation(3, exact_sum(np.array(numbers)), squared)
    assert found[0] == 1e8 + 1
    assert found[1] == pytest.approx(np.sqrt(2 / 3), rel=1e-15)
    rounded = exact_sum(np.array([each * each for each in numbers]))
    assert mean_and_deviation(3, exact_sum(np.array(numbers)), rounded) != found


@given(st.lists(st.floats(-1e150, 1e150).filter(lambda x: x == 0 or abs(x) > 1e-140), max_size=9))
def test_squares_are_exact_in_two_parts(numbers: list[float]) -> None:
    """What rounding took is kept beside."""
    parts = np.concatenate(squares(np.array(numbers, dtype=np.float64)))
    assert exact_sum(parts) == sum(Fraction(each) ** 2 for each in numbers) * 2**1126


def test_places_have_sums_of_their_own() -> None:
    """Of the smallest and the largest numbers too."""
    numbers = [1e308, 5e-324, -1.5, 1e308, 2.25, 0.0]
    found = exact_sums(np.array(numbers), np.array([0, 0, 7, 7, 0, 3]))
    parts = {0: [1e308, 5e-324, 2.25], 7: [-1.5, 1e308], 3: [0.0]}
    assert found == {place: units(part) for place, part in parts.items()}
