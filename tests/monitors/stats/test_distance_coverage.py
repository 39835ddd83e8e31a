"""Intervals of distances hold the true distance as often as they say, found by simulation.

1,000 pairs of samples each: 10,000 rows of a reference in its own 20 quantile bins with one row in
10,000 outside at each end, or in five categories; and 200, 2,000 or 20,000 live rows, of the same
distribution or after a known change. The true distance is that of the two distributions in the
same bins.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy import stats

from monitors.stats.comparison import Comparison
from monitors.stats.distances import (
    chi_square,
    hellinger,
    jensen_shannon,
    kolmogorov_smirnov,
    psi,
    total_variation,
    wasserstein,
)

Floats = NDArray[np.float64]
TRIALS = 1000
REFERENCE_ROWS = 10_000
OUTSIDE = 1e-4
EDGES = np.asarray(stats.norm.ppf(np.r_[OUTSIDE, np.arange(1, 20) / 20, 1 - OUTSIDE]))
POINTS = np.r_[EDGES[:1], EDGES[:1], (EDGES[1:] + EDGES[:-1]) / 2, EDGES[-1:]]
CATEGORIES = np.array([0.5, 0.25, 0.15, 0.07, 0.03])


def normal(shift: float, scale: float = 1.0) -> Floats:
    """Shares of a normal in the bins; nothing lies exactly on the first edge."""
    below = np.asarray(stats.norm.cdf(EDGES, shift, scale))
    return np.concatenate([below[:1], [0.0], np.diff(below), 1 - below[-1:]])


def listed(shares: Floats) -> Floats:
    """Shares of categories, with nothing that is not on the list."""
    return np.concatenate([shares, [0.0, 0.0]])


@dataclass(frozen=True)
class Scenario:
    """Shares of the reference and of live rows, and whether bins are in order."""

    reference: Floats
    live: Floats
    ordered: bool

    def true(self, rows: int) -> dict[str, float]:
        """The distances of the distributions; chi-square as it would be at this many rows."""
        p, q = self.reference, self.live
        if self.ordered:
            inside = [np.r_[s[1] + s[2], s[3:-1], s[0] + s[-1]] for s in (p, q)]
        else:
            inside = [p, q]
        counts = [s * n for s, n in zip(inside, (REFERENCE_ROWS, rows), strict=True)]
        used = [s[inside[0] + inside[1] > 0] for s in inside]
        values = {
            "psi": psi(*used),
            "jensen_shannon": jensen_shannon(*used),
            "total_variation": total_variation(*used),
            "hellinger": hellinger(*used),
            "chi_square": chi_square(counts[0], counts[1], corrected=False),
        }
        if self.ordered:
            values["kolmogorov_smirnov"] = kolmogorov_smirnov(p, q)
            values["wasserstein"] = wasserstein(POINTS, p, q)
        return {name: float(value) for name, value in values.items()}


SCENARIOS = {
    "no change": Scenario(normal(0), normal(0), ordered=True),
    "shift 0.1": Scenario(normal(0), normal(0.1), ordered=True),
    "shift 0.5": Scenario(normal(0), normal(0.5), ordered=True),
    "scale 1.5": Scenario(normal(0), normal(0, 1.5), ordered=True),
    "categories, no change": Scenario(listed(CATEGORIES), listed(CATEGORIES), ordered=False),
    "categories, 7 to 12 %": Scenario(
        listed(CATEGORIES), listed(np.array([0.45, 0.25, 0.15, 0.12, 0.03])), ordered=False
    ),
}


def coverage(scenario: Scenario, rows: int, seed: int, trials: int = TRIALS) -> dict[str, float]:
    """How often each distance's interval held the true one."""
    rng = np.random.default_rng(seed)
    references = rng.multinomial(REFERENCE_ROWS, scenario.reference, trials)
    live = rng.multinomial(rows, scenario.live, trials)
    points = [POINTS] * trials if scenario.ordered else []
    found = Comparison(list(references), points).distances(live)
    true = scenario.true(rows)
    held = {
        name: np.array([each[at].lower <= true[name] <= each[at].upper for each in found])
        for at, name in enumerate(true)
    }
    return {name: float(each.mean()) for name, each in held.items()}


FLOORS = {200: 0.895, 2000: 0.925, 20_000: 0.925}
"""4,000 trials found at least 92.2, 94.7 and 94.3 %; 1,000 may miss that by chance."""


@pytest.mark.parametrize("rows", FLOORS)
@pytest.mark.parametrize("name", SCENARIOS)
def test_intervals_hold_the_true_distance(name: str, rows: int) -> None:
    """95 % are promised; how many it really are stands in `docs/monitoring.md`."""
    for distance, held in coverage(SCENARIOS[name], rows, seed=1).items():
        assert held >= FLOORS[rows], distance


@pytest.mark.parametrize("rows", FLOORS)
def test_without_change_few_intervals_lie_above_zero(rows: int) -> None:
    """No more than the 2.5 % of a one-sided bound."""
    for name in ("no change", "categories, no change"):
        assert min(coverage(SCENARIOS[name], rows, seed=2).values()) >= 0.96


def test_more_bins_than_rows_do_not_look_like_a_change() -> None:
    """100 categories and 50 rows: nothing can be said, and the intervals say nothing."""
    shares = 1 / np.arange(1.0, 101.0)
    rare = listed(shares / shares.sum())
    held = coverage(Scenario(rare, rare, ordered=False), 50, seed=3, trials=300)
    assert min(held.values()) >= 0.96


def test_intervals_without_the_noise_taken_out_would_not_hold() -> None:
    """The test has power: the measured values themselves are hardly ever the true ones."""
    rng = np.random.default_rng(4)
    scenario = SCENARIOS["no change"]
    references = rng.multinomial(REFERENCE_ROWS, scenario.reference, 300)
    live = rng.multinomial(200, scenario.live, 300)
    found = Comparison(list(references), [POINTS] * 300).distances(live)
    psis = np.array([each[0].value for each in found])
    plain_half = 1.96 * psis.std()
    assert np.mean(psis - plain_half > 0) > 0.5
