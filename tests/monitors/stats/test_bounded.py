"""Evidence that a share is above a bound: never too much while it is not, and soon when it is."""

from itertools import product

import numpy as np
import pytest

from configs.settings import AlarmMode
from monitors.stats.bounded import BoundedShare
from tests.monitors.stats.fair import assert_alarms_within, assert_mean_at_most_one

BOUND = 0.02


class LateEvents(BoundedShare):
    """Broken on purpose: what comes at once is taken as if its events had come last."""

    def update(self, events: int, others: int, minute: int = 0) -> None:
        """The others, then the events."""
        super().update(0, others, minute)
        super().update(events, 0, minute)


def means(kind: type[BoundedShare], cuts: tuple[int, ...], chance: float) -> float:
    """The mean of the wealth over all outcomes of some units, which come in parts."""
    units = sum(cuts)
    outcomes = list(product((0, 1), repeat=units))
    wealth = []
    for outcome in outcomes:
        share = kind(BOUND, block=2)
        at = 0
        for cut in cuts:
            events = sum(outcome[at : at + cut])
            share.update(events, cut - events)
            at += cut
        wealth.append(np.exp(share.log_wealth()))
    chances = [np.prod([chance if event else 1 - chance for event in each]) for each in outcomes]
    assert_mean_at_most_one(np.array(wealth), np.array(chances))
    return float(np.array(wealth) @ np.array(chances))


@pytest.mark.parametrize("cuts", [(1,) * 8, (3, 5), (8,), (2, 2, 2, 2), (1, 6, 1), (5,)])
@pytest.mark.parametrize("chance", [BOUND, BOUND / 2, 0.0])
def test_the_mean_is_at_most_one(cuts: tuple[int, ...], chance: float) -> None:
    """All outcomes, however they are cut, at the bound and below; at it, one by one, just one."""
    mean = means(BoundedShare, cuts, chance)
    if chance == BOUND and max(cuts) <= 2:
        assert mean == pytest.approx(1.0)


def test_a_broken_one_is_found() -> None:
    """To take events as if they had come last overstates what late bets have won."""
    with pytest.raises(AssertionError):
        means(LateEvents, (8,), BOUND)


@pytest.mark.slow
def test_no_alarm_at_the_bound() -> None:
    """At the bound itself, 200 runs of 5,000 units, read again and again, a budget of 10 %."""

    def ever(seed: int) -> bool:
        rng = np.random.default_rng([23, seed])
        share = BoundedShare(0.01)
        for events in rng.binomial(50, 0.01, 100).tolist():
            share.update(events, 50 - events)
            if share.log_wealth() >= np.log(10):
                return True
        return False

    assert_alarms_within(0.1, 200, ever)


def test_a_share_above_the_bound_is_found_where_it_begins() -> None:
    """One in twenty after 10,000 units with one in a thousand: soon, and counted from there."""
    rng = np.random.default_rng(0)
    share = BoundedShare(0.01)
    events = np.r_[rng.random(10_000) < 0.001, rng.random(1000) < 0.05]
    for at in range(0, 11_000, 100):
        hits = int(events[at : at + 100].sum())
        share.update(hits, 100 - hits)
    assert share.log_wealth() > np.log(1e4)
    others, found = share.counts_since_change().tolist()
    assert 700 <= others + found <= 3000
    assert found / (others + found) > 0.015


def test_without_events_cuts_do_not_matter_and_a_state_goes_on() -> None:
    """One part or many; begun anew from a state; a state of something else is refused."""
    whole, parts, again = (BoundedShare(0.01) for _ in range(3))
    whole.update(0, 333)
    for count in (1, 49, 0, 200, 83):
        parts.update(0, count)
    assert parts.log_wealth() == pytest.approx(whole.log_wealth())
    assert whole.log_wealth() < 0
    again.restore(parts.state())
    for each in (whole, again):
        each.update(20, 80)
    assert again.log_wealth() == pytest.approx(whole.log_wealth())
    assert again.counts.tolist() == [413, 20]
    with pytest.raises(ValueError, match="counts of shape"):
        whole.restore({**parts.state(), "held": np.zeros((1, 3))})


def test_in_the_detector_mode_minutes_begin_bets() -> None:
    """At the bound the statistic stays in the order of the minutes."""
    rng = np.random.default_rng(1)
    share = BoundedShare(0.01, AlarmMode.DETECTOR)
    for minute in range(1, 300):
        events = int(rng.binomial(100, 0.01))
        share.update(events, 100 - events, minute)
    assert share.log_wealth() < np.log(299 * 100)
