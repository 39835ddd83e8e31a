"""By how much a gap widened: signs, and all that two intervals leave possible."""

from __future__ import annotations

from itertools import product

import numpy as np
import pytest

from monitors.stats.widening import widening, widening_interval


def test_a_gap_that_closes_has_not_widened() -> None:
    """Whatever its direction; beyond alike it opens on the other side."""
    assert widening(0.1, 0.05) == pytest.approx(0.05)
    assert widening(-0.1, 0.05) == pytest.approx(-0.05)
    assert widening(-0.1, 0.3) == pytest.approx(0.1)
    assert widening(0.0, -0.02) == pytest.approx(0.02)


@pytest.mark.parametrize("apart", [(-0.1, 0.1), (0.1, 0.2), (-0.3, -0.05), (0.0, 0.0)])
@pytest.mark.parametrize("change", [(-0.2, 0.3), (0.05, 0.1), (-0.4, -0.1), (0.0, 0.0)])
def test_the_interval_is_all_that_is_possible(
    apart: tuple[float, float], change: tuple[float, float]
) -> None:
    """Against a fine grid of both."""
    grid = product(np.linspace(*apart, 201).tolist(), np.linspace(*change, 201).tolist())
    values = [widening(one, other) for one, other in grid]
    assert widening_interval(apart, change) == pytest.approx((min(values), max(values)), abs=2e-3)
