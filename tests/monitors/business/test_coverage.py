"""How often the interval of a KPI leaves out the truth at some look, for values as they come.

`docs/business-value.md` has the figures.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pytest
from numpy.typing import NDArray

from monitors.stats.asymptotic_means import at_any_look, rows_to_trust

PAGE = (Path(__file__).parents[3] / "docs" / "business-value.md").read_text(encoding="utf-8")
FIRST, ROWS, RUNS = 50, 20_000, 1000
LOOKS = np.unique(np.geomspace(FIRST, ROWS, 300).astype(np.int64))

Draw = Callable[[np.random.Generator], NDArray[np.float64]]


class Stream(NamedTuple):
    """Values, and their mean."""

    draw: Draw
    mean: float


def lost(chance: float) -> Stream:
    """120 gained, or 500 lost with a chance."""
    return Stream(
        lambda rng: np.where(rng.random(ROWS) < chance, -500.0, 120.0), 120 - 620 * chance
    )


STREAMS = {
    "normal": Stream(lambda rng: rng.standard_normal(ROWS), 0.0),
    "120 or -500, lost 15 %": lost(0.15),
    "120 or -500, lost 1 %": lost(0.01),
    "120 or -500, lost 0.2 %": lost(0.002),
    "amounts, log-normal with spread 1": Stream(
        lambda rng: rng.lognormal(0.0, 1.0, ROWS), float(np.exp(0.5))
    ),
    "amounts, log-normal with spread 2": Stream(
        lambda rng: rng.lognormal(0.0, 2.0, ROWS), float(np.exp(2.0))
    ),
}


def covered(stream: Stream, trusted: bool) -> float:
    """The share of runs in which no interval that is told leaves out the mean, in percent."""
    rng = np.random.default_rng(11)
    never = 0
    for _ in range(RUNS):
        values = stream.draw(rng)
        powers = [np.cumsum(values**power)[LOOKS - 1] / LOOKS for power in (1, 2, 3)]
        means, squares, cubes = powers
        variances = squares - means**2
        thirds = cubes - 3 * means * squares + 2 * means**3
        never += all(
            _holds(int(rows), mean, variance, third, stream.mean, trusted)
            for rows, mean, variance, third in zip(
                LOOKS.tolist(), means.tolist(), variances.tolist(), thirds.tolist(), strict=True
            )
        )
    return 100 * never / RUNS


def _holds(
    rows: int, mean: float, variance: float, third: float, truth: float, trusted: bool
) -> bool:
    if variance <= 1e-9:
        return True
    if trusted and rows < rows_to_trust(third / variance**1.5):
        return True
    lower, upper = at_any_look(rows, mean, variance)
    return lower <= truth <= upper


@pytest.mark.slow
@pytest.mark.parametrize("name", STREAMS)
def test_coverage_is_as_the_page_says(name: str) -> None:
    """From the first interval that is told, and from row 50 on whatever the values."""
    told = f"{covered(STREAMS[name], True):.1f} %", f"{covered(STREAMS[name], False):.1f} %"
    assert f"| {name} | {told[0]} | {told[1]} |" in PAGE
