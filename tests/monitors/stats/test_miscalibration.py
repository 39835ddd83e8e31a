"""Evidence that outcomes do not fit their chances: never too much while they do."""

from itertools import product

import numpy as np
import pytest

from configs.settings import AlarmMode
from monitors.stats.miscalibration import Miscalibration, log_gains
from tests.monitors.stats.fair import assert_alarms_within, assert_mean_at_most_one

CHANCES = np.array([0.02, 0.3, 0.97, 0.5, 0.3])
ZONES = np.array([0, 0, 1, 1, 0])


def none(rows: int) -> np.ndarray:
    """No tallies."""
    return np.zeros((rows, 0), dtype=np.int64)


def assert_mean(true_shift: float, margin: float, said_margin: float, block: int) -> None:
    """The mean evidence over all outcomes of five rows whose chances are off by `true_shift`."""
    true = np.clip(CHANCES + np.clip(true_shift, -margin, margin), 0, 1)
    e_values, likely = [], []
    for outcome in product((0.0, 1.0), repeat=5):
        outcomes = np.array(outcome)
        fold = Miscalibration(2, 0, block=block)
        fold.update(outcomes, CHANCES, np.full(5, said_margin), ZONES, none(5))
        e_values.append(float(np.exp(fold.log_wealth())))
        likely.append(float(np.prod(np.where(outcomes > 0, true, 1 - true))))
    assert sum(likely) == pytest.approx(1.0)
    assert_mean_at_most_one(np.array(e_values), np.array(likely))


@pytest.mark.parametrize("shift", [-0.05, -0.02, 0.0, 0.05])
@pytest.mark.parametrize("block", [1, 2])
def test_the_mean_is_at_most_one_within_the_margin(shift: float, block: int) -> None:
    """All outcomes, with chances that are off by nothing, something, and the margin itself."""
    assert_mean(shift, 0.05, 0.05, block)


def test_without_its_margin_it_is_found_out() -> None:
    """Chances that are off by more than was allowed: the same check fails."""
    with pytest.raises(AssertionError):
        assert_mean(0.05, 0.05, 0.0, 1)


def test_each_bet_has_mean_one_at_the_edge_of_the_margin() -> None:
    """By hand: both outcomes of one row, for every fraction and both directions."""
    gains = np.exp(
        log_gains(np.array([1.0, 0.0]), np.array([0.3, 0.3]), np.array([0.1, 0.1]))
    ).reshape(2, 2, -1)
    more, fewer = gains[:, 0], gains[:, 1]
    np.testing.assert_allclose(0.4 * more[0] + 0.6 * more[1], 1.0)
    np.testing.assert_allclose(0.2 * fewer[0] + 0.8 * fewer[1], 1.0)


def rows(rng: np.random.Generator, count: int, true: float) -> tuple[np.ndarray, ...]:
    """Scores spread over five zones, and outcomes of chances that are off by `true` in one zone."""
    chances = rng.random(count)
    zones = np.minimum((chances * 5).astype(np.intp), 4)
    off = np.where(zones == 3, true, 0.0)
    outcomes = (rng.random(count) < np.clip(chances + off, 0, 1)).astype(float)
    return outcomes, chances, np.full(count, 0.02), zones


def test_no_alarm_while_chances_hold() -> None:
    """100 streams of 2,000 rows, looked at every 100, a budget of 10 %."""

    def ever(seed: int) -> bool:
        rng = np.random.default_rng([41, seed])
        fold = Miscalibration(5, 0)
        for _ in range(20):
            outcomes, chances, margins, zones = rows(rng, 100, 0.02)
            fold.update(outcomes, chances, margins, zones, none(100))
            if fold.log_wealth() >= np.log(10):
                return True
        return False

    assert_alarms_within(0.1, 100, ever)


@pytest.mark.parametrize("off", [-0.3, 0.2])
def test_a_zone_that_is_off_is_found(off: float) -> None:
    """One zone of five, after 1,000 rows that are right: within 1,500 rows, most streams."""
    found = []
    for seed in range(7):
        rng = np.random.default_rng([42, seed])
        fold = Miscalibration(5, 1)
        for count, true in ((1000, 0.0), (1500, off)):
            outcomes, chances, margins, zones = rows(rng, count, true)
            ones = np.ones((count, 1), dtype=np.int64)
            fold.update(outcomes, chances, margins, zones, ones)
        found.append(fold.log_wealth() >= np.log(1000))
        assert int(fold.since_change()[0]) <= 2500
    assert np.mean(found) >= 0.5


def test_cuts_do_not_matter_and_a_state_goes_on() -> None:
    """One part or many, begun anew from a state: the same evidence."""
    rng = np.random.default_rng(8)
    outcomes, chances, margins, zones = rows(rng, 200, 0.3)
    ones = np.ones((200, 1), dtype=np.int64)
    whole = Miscalibration(5, 1)
    whole.update(outcomes, chances, margins, zones, ones)
    parts = Miscalibration(5, 1)
    for at in range(0, 200, 9):
        if at == 99:
            again = Miscalibration(5, 1)
            again.restore({name: held.copy() for name, held in parts.state().items()})
            parts = again
        some = slice(at, at + 9)
        parts.update(outcomes[some], chances[some], margins[some], zones[some], ones[some])
    assert parts.log_wealth() == pytest.approx(whole.log_wealth(), rel=1e-9)
    assert parts.since_change().tolist() == whole.since_change().tolist()
    with pytest.raises(ValueError, match="bets of shape"):
        Miscalibration(4, 1).restore(whole.state())


def test_in_the_detector_mode_minutes_begin_bets() -> None:
    """While chances hold the statistic stays in the order of the minutes."""
    rng = np.random.default_rng(9)
    fold = Miscalibration(5, 0, AlarmMode.DETECTOR)
    for minute in range(1, 200):
        outcomes, chances, margins, zones = rows(rng, 20, 0.0)
        fold.update(outcomes, chances, margins, zones, none(20), minute)
    assert fold.log_wealth() < np.log(199 * 100)
