"""Streams keep their promise without change, and find changes in time."""

import numpy as np
import pytest
from scipy import stats

from monitors.stats.running import counted
from monitors.stats.starts import SpreadStarts
from monitors.stats.streams import Streams
from monitors.stats.tilts import Tilts, normal_tilts, share_tilts
from tests.monitors.stats.fair import assert_alarms_within

BUDGET = 0.05
CUTS = stats.norm.ppf(np.arange(1, 20) / 20)


def normal_codes(rng: np.random.Generator, rows: int, shift: float = 0.0) -> np.ndarray:
    """Bins of normal numbers, 50 streams at a time."""
    return np.searchsorted(CUTS, rng.standard_normal((50, rows)) + shift).astype(np.int16)


def ever(
    codes: np.ndarray, reference: np.ndarray, tilts: Tilts, rng: np.random.Generator
) -> np.ndarray:
    """Which streams' e-values reached 1/BUDGET at some look, one look every 50 rows."""
    streams = Streams(reference, tilts, SpreadStarts())
    reached = np.zeros(len(codes), dtype=bool)
    for at in range(0, codes.shape[1], 50):
        part = codes[:, at : at + 50]
        streams.update(part, rng.random(part.shape))
        reached |= streams.log_wealth() >= -np.log(BUDGET)
    return reached


@pytest.mark.parametrize("reference_rows", [30, 1000])
def test_normal_bets_alarm_falsely_within_the_budget(reference_rows: int) -> None:
    """400 streams of 1,500 clean rows after a small or a large reference."""
    rng = np.random.default_rng(5)
    reached: list[bool] = []
    for _ in range(8):
        reference = counted(normal_codes(rng, reference_rows), 20)
        reached += ever(normal_codes(rng, 1500), reference, normal_tilts(), rng).tolist()
    assert_alarms_within(BUDGET, len(reached), lambda run: reached[run])


@pytest.mark.parametrize("share", [0.002, 0.2])
def test_share_bets_alarm_falsely_within_the_budget(share: float) -> None:
    """400 streams of rare or common events, with a small reference."""
    rng = np.random.default_rng(6)
    events = (rng.random((400, 1800)) < share).astype(np.int16)
    chosen = (rng.binomial(300, share, 400) + 0.5) / 301
    reached = ever(events[:, 300:], counted(events[:, :300], 2), share_tilts(chosen), rng)
    assert_alarms_within(BUDGET, 400, lambda run: bool(reached[run]))


def test_a_bet_that_is_not_paid_for_alarms_falsely() -> None:
    """The same check refuses bets that forget to divide by their mean."""
    rng = np.random.default_rng(7)
    fair = normal_tilts()
    broken = Tilts(fair.sums, fair.coefficients * [0.0, 1.0, 1.0], fair.weights)
    reached = ever(normal_codes(rng, 500), counted(normal_codes(rng, 1000), 20), broken, rng)
    with pytest.raises(AssertionError):
        assert_alarms_within(BUDGET, len(reached), lambda run: bool(reached[run]))


@pytest.mark.parametrize(("shift", "within"), [(0.25, 1000), (0.5, 250), (1.0, 80)])
def test_a_shift_is_found_in_time(shift: float, within: int) -> None:
    """At the threshold for 30 features and 1 %, half the streams alarm within so many rows."""
    rng = np.random.default_rng(8)
    streams = Streams(counted(normal_codes(rng, 10_000), 20), normal_tilts(), SpreadStarts())
    codes = np.hstack([normal_codes(rng, 1000), normal_codes(rng, within, shift)])
    streams.update(codes, rng.random(codes.shape))
    assert np.mean(streams.log_wealth() >= np.log(3000)) >= 0.5


def test_counts_since_the_change_leave_out_what_was_before() -> None:
    """After 2,000 clean rows and 200 moved ones, nearly all rows of the effect are moved ones."""
    rng = np.random.default_rng(9)
    streams = Streams(counted(normal_codes(rng, 5000), 20), normal_tilts(), SpreadStarts())
    assert streams.counts_since_change().sum() == 0
    for part in (normal_codes(rng, 2000), normal_codes(rng, 200, 1.0)):
        streams.update(part, rng.random(part.shape))
    rows = streams.counts_since_change().sum(axis=1)
    assert np.mean((rows >= 100) & (rows <= 300)) > 0.9


def test_any_split_gives_the_same_state() -> None:
    """One block, blocks of 1, and blocks of 7 end alike."""
    rng = np.random.default_rng(10)
    codes, u = normal_codes(rng, 333, 0.5), rng.random((50, 333))
    reference = counted(normal_codes(rng, 500), 20)
    ends = []
    for size in (333, 1, 7):
        streams = Streams(reference, normal_tilts(), SpreadStarts())
        for at in range(0, 333, size):
            streams.update(codes[:, at : at + size], u[:, at : at + size])
        ends.append((streams.log_wealth(), streams.counts_since_change()))
    for wealth, since in ends[1:]:
        np.testing.assert_allclose(wealth, ends[0][0], rtol=1e-9)
        np.testing.assert_array_equal(since, ends[0][1])
