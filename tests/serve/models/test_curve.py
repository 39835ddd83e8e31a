"""A curve is what was measured, made plain; and says how many rows are worth running together."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from serve.models.curve import Curve
from serve.models.frames import BrokenFrame, Tensors

SIZES = (1, 2, 4, 8, 16, 32, 64, 128, 256)
Seconds = st.floats(1e-6, 100.0)


def line(fixed: float, each: float) -> Curve:
    """A model that takes so many seconds and so many more a row."""
    return Curve(SIZES, tuple(fixed + each * rows for rows in SIZES))


@given(st.lists(Seconds, min_size=1, max_size=9), st.integers(0, 600))
def test_more_rows_never_take_less(seconds: list[float], rows: int) -> None:
    """Whatever was measured, the curve rises, and is never above a measurement."""
    curve = Curve.of(list(zip(SIZES, seconds, strict=False)))

    assert 0 < curve.at(rows) <= curve.at(rows + 1)
    assert all(curve.at(n) <= taken for n, taken in zip(SIZES, seconds, strict=False))


def test_between_sizes_and_beyond_lines_are_straight() -> None:
    """Nothing is known of other sizes, so nothing is made up."""
    curve = Curve((2, 4), (1.0, 2.0))

    assert [curve.at(rows) for rows in (0, 1, 2, 3, 4, 6)] == [1.0, 1.0, 1.0, 1.5, 2.0, 3.0]
    assert Curve((1,), (1.0,)).at(100) == 1.0


@given(st.floats(1e-5, 1.0), st.floats(1e-5, 1.0), st.sampled_from([0.03, 1 / 3]))
def test_rows_worth_running_follow_the_closed_form(fixed: float, each: float, price: float) -> None:
    """For a + b n seconds they are a / b (1 / price - 1), and the speed given up is `price`."""
    best = fixed / each * (1 / price - 1)

    worth = line(fixed, each).worth(256, 0.0, price)

    assert worth == pytest.approx(min(max(best, 1.0), 256.0), abs=1.0)


def test_what_a_batch_costs_besides_its_run_counts() -> None:
    """Rows that cost next to nothing go together, for the batch itself costs something."""
    per_row = line(0.0, 1e-6)

    assert per_row.worth(256, 0.0, 0.03) == 1
    assert per_row.worth(256, 1e-4, 0.03) == 256


@pytest.mark.parametrize("price", [0.03, 1 / 3])
def test_a_run_of_any_size_that_costs_the_same_is_worth_filling(price: float) -> None:
    """A flat curve gives nothing up; one that gets steep is not followed there."""
    steep = Curve((1, 16, 32, 256), (0.1, 0.1, 0.8, 6.4))

    assert line(1.0, 0.0).worth(200, 1e-4, price) == 200
    assert steep.worth(256, 1e-4, price) == 16


@given(st.lists(Seconds, min_size=1, max_size=9))
def test_a_curve_survives_its_journey(seconds: list[float]) -> None:
    """What is read is what was told."""
    curve = Curve.of(list(zip(SIZES, seconds, strict=False)))

    assert Curve.read(curve.tensors()) == curve


def floats(*values: float) -> np.ndarray[tuple[int], np.dtype[np.float64]]:
    """Numbers as a curve has them."""
    return np.array(values, np.float64)


@pytest.mark.parametrize(
    "told",
    [
        (floats(1.0),),
        (floats(), floats()),
        (floats(1.0, 2.0), floats(0.1)),
        (floats(0.0), floats(0.1)),
        (floats(1.5, 1.6), floats(0.1, 0.2)),
        (floats(1e300), floats(0.1)),
        (floats(2.0, 1.0), floats(0.1, 0.2)),
        (floats(1.0, 1.0), floats(0.1, 0.2)),
        (floats(1.0, 2.0), floats(0.2, 0.1)),
        (floats(1.0), floats(0.0)),
        (floats(1.0), floats(float("nan"))),
        (floats(float("nan")), floats(1.0)),
        (floats(1.0), floats(float("inf"))),
        (floats(1.0).astype(np.float32), floats(1.0)),
        (floats(1.0).reshape(1, 1), floats(1.0)),
        (floats(*range(1, 100)), floats(*range(1, 100))),
    ],
)
def test_what_is_no_curve_is_not_believed(told: Tensors) -> None:
    """A version process that sends rubbish must not hurt the gateway."""
    with pytest.raises(BrokenFrame):
        Curve.read(told)
