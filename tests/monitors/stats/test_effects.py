"""Effects agree with independent implementations, and their bounds hold."""

from itertools import pairwise

import numpy as np
import pytest
from scipy import stats

from monitors.stats.effects import (
    Effect,
    bin_scores,
    location_shift,
    moments,
    scale_change,
    share_change,
)


def test_bin_scores_are_the_means_of_a_normal_between_quantiles() -> None:
    """The score of a bin is what scipy finds by integration."""
    reference = np.array([100, 300, 400, 200])
    shares = (reference + 0.5) / (reference.sum() + 2)
    edges = np.asarray(stats.norm.ppf(np.r_[0, np.cumsum(shares)[:-1], 1]))
    expected = [
        stats.norm.expect(lambda z: z, lb=a, ub=b, conditional=True)
        for a, b in pairwise(edges.tolist())
    ]
    np.testing.assert_allclose(bin_scores(reference), expected, atol=1e-8)


def binned(values: np.ndarray) -> np.ndarray:
    """Counts in 20 normal quantile bins."""
    edges = stats.norm.ppf(np.arange(1, 20) / 20)
    return np.bincount(np.searchsorted(edges, values), minlength=20)


def effects(reference: np.ndarray, live: np.ndarray) -> tuple[Effect, Effect]:
    """The shift and the change of spread from one set of counts to another."""
    scores = bin_scores(reference)
    before, now = moments(scores, reference), moments(scores, live)
    return location_shift(before, now), scale_change(before, now)


@pytest.mark.parametrize("shift", [-0.5, 0.0, 0.25, 1.0])
def test_a_shift_is_measured_in_standard_deviations(shift: float) -> None:
    """The shift of a normal is found, within its bounds or within the coarseness of the bins."""
    rng = np.random.default_rng(3)
    effect, _ = effects(
        binned(rng.standard_normal(50_000)), binned(rng.standard_normal(20_000) + shift)
    )
    assert effect.value == pytest.approx(shift, abs=0.05 + 0.15 * abs(shift))
    assert effect.lower < effect.value < effect.upper


def test_bounds_of_shift_and_scale_cover_at_their_level() -> None:
    """Without change each one-sided 99 % bound is crossed in about 1 % of 1,000 trials."""
    rng = np.random.default_rng(4)
    crossed = np.zeros(4)
    for _ in range(1000):
        reference = binned(rng.standard_normal(2000))
        live = binned(rng.standard_normal(300))
        shift, scale = effects(reference, live)
        crossed += [shift.lower > 0, shift.upper < 0, scale.lower > 0, scale.upper < 0]
    assert np.all(crossed <= stats.binom.ppf(0.9999, 1000, 0.01))
    assert np.all(crossed >= 1)


def test_a_constant_reference_breaks_nothing() -> None:
    """A reference in one bin gives a finite shift and no change of spread."""
    reference, live = np.array([0, 500, 0]), np.array([0, 10, 490])
    shift, scale = effects(reference, live)
    assert shift.lower > 1
    assert scale.value == 0


@pytest.mark.parametrize("rows", [3, 10, 700, 12_345])
def test_rows_that_all_lie_equally_far_from_the_mean_break_nothing(rows: int) -> None:
    """Two bins with as many rows each: the fourth moment is the variance squared, to rounding."""
    reference = np.array([rows, rows])
    _, scale = effects(reference, reference)
    assert scale.value == 0
    assert scale.lower <= 0 <= scale.upper


def test_share_change_is_live_minus_reference() -> None:
    """More rows of a category give a positive change, whose bounds enclose it."""
    effect = share_change((100, 1000), (40, 100))
    assert effect.value == pytest.approx(0.3)
    assert 0.19 < effect.at_least < 0.2
