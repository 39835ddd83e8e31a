"""Bands of quantiles that were counted in bins: they hold at every look, whatever is counted."""

from __future__ import annotations

from collections.abc import Callable
from itertools import accumulate
from math import exp, inf, log

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from monitors.stats.anytime_quantiles import Band, quantile_band
from monitors.stats.intervals import wilson
from tests.monitors.stats.fair import assert_alarms_within

EDGES = tuple(1.5**k for k in range(20))
SHARES = (0.5, 0.95, 0.99)
COUNTS = st.lists(st.one_of(st.just(0), st.integers(0, 3000)), min_size=21, max_size=21)
BandOf = Callable[[list[int], tuple[float, ...], float], Band]


def by_hand(counts: list[int], edges: tuple[float, ...], share: float, alpha: float) -> Band:
    """Every edge is tried; a beta-binomial chance against a binomial one, as scipy has them."""
    rows = sum(counts)
    lower, upper, estimate = 0.0, inf, inf
    for edge, hits in zip(edges, accumulate(counts), strict=False):
        mixed = stats.betabinom.logpmf(hits, rows, 0.5, 0.5)
        won = mixed - stats.binom.logpmf(hits, rows, share) >= log(1 / alpha)
        if won and hits < share * rows:
            lower = max(lower, edge)
        if won and hits > share * rows:
            upper = min(upper, edge)
        if hits >= share * rows:
            estimate = min(estimate, edge)
    return Band(lower, estimate, upper)


@given(COUNTS.filter(any), st.sampled_from(SHARES), st.sampled_from([0.05, 0.3]))
def test_the_band_is_what_trying_every_edge_gives(
    counts: list[int], share: float, alpha: float
) -> None:
    """By another formula for the same bets; and it holds the bucket of the quantile so far."""
    found = quantile_band(counts, EDGES, share, alpha)

    assert found == by_hand(counts, EDGES, share, alpha)
    assert found.lower < found.estimate <= found.upper
    assert found.estimate in (*EDGES, inf)


@given(COUNTS.filter(any), st.sampled_from(SHARES))
def test_coarser_bins_never_make_it_narrower(counts: list[int], share: float) -> None:
    """They say less, and never anything else."""
    fine = quantile_band(counts, EDGES, share)
    coarse = quantile_band(
        [one + other for one, other in zip(counts[:20:2], counts[1:20:2], strict=True)]
        + counts[20:],
        EDGES[1::2],
        share,
    )

    assert coarse.lower <= fine.lower
    assert fine.upper <= coarse.upper


def wrong_by(rows: int, share: float, band: BandOf) -> float:
    """The chance that the band was ever wrong in so many looks, all streams weighed exactly.

    One value at a time, with the quantile at 2; edges are there and just below.
    """
    right = np.ones(1)
    for row in range(1, rows + 1):
        right = np.append(right, 0.0) * (1 - share) + np.insert(right, 0, 0.0) * share
        for hits in np.flatnonzero(right):
            found = band([int(hits), 0, row - int(hits)], (1.999, 2.0), share)
            if not found.lower < 2.0 <= found.upper:
                right[hits] = 0.0
    return 1 - float(right.sum())


@pytest.mark.parametrize("share", SHARES)
def test_the_chance_to_be_wrong_at_any_of_a_hundred_looks_is_bounded(share: float) -> None:
    """Found exactly, over all streams of 100 values; it is no empty promise either."""
    wrong = wrong_by(100, share, lambda counts, edges, p: quantile_band(counts, edges, p, 0.2))

    assert 0.01 < wrong <= 0.2


def test_a_band_for_one_look_is_wrong_sooner_or_later() -> None:
    """The same check finds that Wilson's interval is none for every look."""

    def one_look(counts: list[int], edges: tuple[float, ...], share: float) -> Band:
        bounds = [wilson(hits, sum(counts), 1.2816) for hits in accumulate(counts)]
        each = list(zip(edges, bounds, strict=False))
        lower = max((edge for edge, (_, most) in each if most < share), default=0.0)
        upper = min((edge for edge, (least, _) in each if least > share), default=inf)
        return Band(lower, inf, upper)

    assert wrong_by(100, 0.5, one_look) > 0.2


@pytest.mark.parametrize("share", SHARES)
def test_looked_at_often_it_seldom_leaves_the_quantile_out(share: float) -> None:
    """100 streams of 20,000 values that come in lumps, counted in two places, in 40 looks."""
    looks = np.unique(np.geomspace(1, 20_000, 40).astype(int))

    def lumps(seed: int) -> np.ndarray:
        drawn = np.random.default_rng([71, seed]).lognormal(2.0, 0.7, 20_000)
        return np.where(drawn < 9.0, np.minimum(drawn, 7.0), drawn)

    # Of the lump at 7 the quantile is 7 itself; else it is that of the distribution.
    plain = float(stats.lognorm.ppf(share, 0.7, scale=exp(2.0)))
    quantile = 7.0 if plain < 9.0 else plain

    def ever(seed: int) -> bool:
        parts = np.split(np.searchsorted(EDGES, lumps(seed)), looks)[:-1]
        here, there = np.zeros(21, int), np.zeros(21, int)
        for part in parts:
            here += np.bincount(part[::3], minlength=21)
            for rest in (part[1::3], part[2::3]):
                there += np.bincount(rest, minlength=21)
            found = quantile_band((here + there).tolist(), EDGES, share)
            if not found.lower < quantile <= found.upper:
                return True
        return False

    assert_alarms_within(0.05, 100, ever)


def test_with_many_values_it_is_the_bucket_and_its_neighbours() -> None:
    """It closes in on the quantile as far as bins let it, and never beyond."""
    values = np.random.default_rng(5).lognormal(2.0, 0.7, 1_000_000)
    counts = np.bincount(np.searchsorted(EDGES, values), minlength=21).tolist()

    for share in SHARES:
        true = float(stats.lognorm.ppf(share, 0.7, scale=exp(2.0)))
        place = int(np.searchsorted(EDGES, true))
        found = quantile_band(counts, EDGES, share)
        assert found == Band(EDGES[place - 1], EDGES[place], EDGES[place])


@pytest.mark.parametrize(("share", "rows"), [(0.5, 7), (0.95, 116), (0.99, 680)])
def test_it_takes_some_values_to_be_sure_of_the_slowest(share: float, rows: int) -> None:
    """Until then there is no upper end, however fast all were."""
    assert quantile_band([rows - 1, 0], (1.0,), share) == Band(0.0, 1.0, inf)
    assert quantile_band([rows, 0], (1.0,), share) == Band(0.0, 1.0, 1.0)


def test_nothing_is_known_of_nothing() -> None:
    """And what is above the last edge has no bound."""
    assert quantile_band([0, 0], (1.0,), 0.5) == Band(0.0, inf, inf)
    assert quantile_band([0, 1000], (1.0,), 0.5) == Band(1.0, inf, inf)
