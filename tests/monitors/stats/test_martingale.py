"""The mixture over starting blocks is what its definition says, and stays stable."""

from decimal import Decimal, getcontext
from itertools import pairwise

import numpy as np
import pytest

from monitors.stats.checkpoints import Checkpoints
from monitors.stats.martingale import StartMixture
from monitors.stats.starts import MinuteStarts, SpreadStarts, start_weights, unspent


def won(log_e: np.ndarray) -> np.ndarray:
    """What bets have won by the end of each block, from log e-values (blocks, streams, bets)."""
    return np.moveaxis(np.cumsum(log_e, axis=0), 0, 2)


def test_start_weights_sum_to_one() -> None:
    """Those of the first million blocks, and what is left for all others."""
    weights = start_weights(0, 10**6)
    assert (weights > 0).all()
    assert weights.sum() + unspent(10**6) == pytest.approx(1.0, abs=1e-12)
    parts = np.r_[start_weights(0, 1), start_weights(1, 99), start_weights(100, 900)]
    np.testing.assert_allclose(parts, weights[:1000])


def test_late_starts_keep_their_digits() -> None:
    """After a hundred million blocks, in decimal arithmetic."""
    getcontext().prec = 40
    k = Decimal(10**8 + 100)
    fall = Decimal("0.4")
    exact = Decimal("0.8") * ((100 / k) ** fall - (100 / (k + 1)) ** fall)
    assert start_weights(10**8, 1)[0] == pytest.approx(float(exact), rel=1e-12)


def test_wealth_is_the_sum_over_all_starts() -> None:
    """Computed start by start, without recursion, in one part or several."""
    rng = np.random.default_rng(0)
    log_e = rng.normal(0, 1, (12, 2, 3))
    bets = np.array([0.5, 0.3, 0.2])
    w = start_weights(0, 12)
    expected = unspent(12) + sum(w[k] * np.exp(log_e[k:].sum(axis=0)) @ bets for k in range(12))
    for cuts in ([0, 12], [0, 1, 5, 12]):
        mixture = StartMixture(2, bets, SpreadStarts())
        for a, b in pairwise(cuts):
            mixture.update(won(log_e[a:b]))
        np.testing.assert_allclose(np.exp(mixture.log_wealth()), expected)


def test_it_begins_at_one_and_survives_extremes() -> None:
    """No data is an e-value of one; thousands of nats either way stay finite."""
    mixture = StartMixture(1, np.array([1.0]), SpreadStarts())
    assert mixture.log_wealth()[0] == pytest.approx(0)
    mixture.update(won(np.full((50, 1, 1), 900.0)))
    assert mixture.log_wealth()[0] > 40_000
    mixture.update(won(np.full((100, 1, 1), -900.0)))
    assert np.isfinite(mixture.log_wealth()).all()


def test_the_start_of_a_run_of_wins_is_found() -> None:
    """Losses, then wins from block 30 on: the likely start is block 30."""
    mixture = StartMixture(1, np.array([1.0]), SpreadStarts())
    log_e = np.where(np.arange(60) < 30, -1.0, 1.0)[:, None, None]
    for a in range(0, 60, 7):
        mixture.update(won(log_e[a : a + 7]))
    assert mixture.likely_starts()[0] == 30


def test_one_start_a_minute_is_the_shiryaev_roberts_statistic() -> None:
    """Computed start by start: the first block of each minute begins a bet of weight one."""
    rng = np.random.default_rng(1)
    log_e = rng.normal(0, 1, (20, 2, 3))
    bets = np.array([0.5, 0.3, 0.2])
    minutes = [0, 0, 3, 3, 3, 4, 9, 9, 2, 10]
    begins = [0, 4, 10, 12, 18]  # in blocks of which two come a minute; minute 2 is past
    expected = sum(np.exp(log_e[k:].sum(axis=0)) @ bets for k in begins)
    mixture = StartMixture(2, bets, MinuteStarts())
    for at, minute in enumerate(minutes):
        mixture.starts.at(minute)
        mixture.update(won(log_e[2 * at : 2 * at + 2]))
    np.testing.assert_allclose(np.exp(mixture.log_wealth()), expected)
    assert mixture.starts.log_mean == pytest.approx(np.log(len(begins)))


def test_it_goes_on_from_a_state() -> None:
    """Stopped and begun again anywhere, by the block or by the minute, it says the same."""
    log_e = np.random.default_rng(2).normal(0, 1, (30, 1, 2))
    bets = np.array([0.5, 0.5])
    for kind in (SpreadStarts, MinuteStarts):
        whole, first = StartMixture(1, bets, kind()), StartMixture(1, bets, kind())
        for at in range(30):
            whole.starts.at(at // 4)
            whole.update(won(log_e[at : at + 1]))
        for at in range(13):
            first.starts.at(at // 4)
            first.update(won(log_e[at : at + 1]))
        second = StartMixture(1, bets, kind())
        second.restore(first.state())
        for at in range(13, 30):
            second.starts.at(at // 4)
            second.update(won(log_e[at : at + 1]))
        assert second.log_wealth() == whole.log_wealth()
        assert second.likely_starts() == whole.likely_starts()


def test_a_state_of_other_bets_is_refused() -> None:
    """Wealth of two bets is not that of three."""
    held = StartMixture(1, np.full(2, 0.5), SpreadStarts()).state()
    with pytest.raises(ValueError, match="bets of shape"):
        StartMixture(1, np.full(3, 1 / 3), SpreadStarts()).restore(held)


def test_checkpoints_are_few_and_near() -> None:
    """After 10,000 blocks a few dozen are held, none further off than half the age."""
    history = Checkpoints(np.array([0]))
    for block in range(1, 10_001):
        history.add(block, np.array([block]))
        history.forget(block)
    assert len(history._counts) < 40
    for age in (1, 5, 40, 700, 9_000):
        assert abs(int(history.nearest(10_000 - age)[0]) - (10_000 - age)) <= age / 2
