"""Who of two arms had an event: evidence on the ratio of rates that holds at any look."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from math import exp, inf, log

import numpy as np
import pytest
from scipy import stats
from scipy.special import betaln

from monitors.stats.anytime_shares import anytime_share
from monitors.stats.event_ratio import (
    Split,
    likeliest_ratio,
    log_gains,
    log_not_worse,
    log_sum,
    log_unequal,
    log_worse,
    ratio_interval,
    smaller_than,
)
from tests.monitors.stats.fair import assert_alarms_within
from tests.monitors.stats.outcomes import mean_when_stopped

EVENTS = 10
RAMP = (0.01, 0.05, 0.05, 0.25, 0.25, 0.25, 0.5, 0.5, 0.83, 0.95)
STOPS = (1.1, 2.0, 10.0, inf)

Value = Callable[[Sequence[Split]], float]


def ramp(before: tuple[bool, ...]) -> float:
    """The share of the next event, whatever came before."""
    return RAMP[len(before)]


def by_evidence(before: tuple[bool, ...]) -> float:
    """A share that rises when the other arm had the last event, and falls when it was the first."""
    share = 0.3
    for ours in before:
        share = max(0.05, share / 3) if ours else min(0.9, share * 2)
    return share


def mean(
    value: Value,
    ratio: float,
    stop_at: float = inf,
    share: Callable[[tuple[bool, ...]], float] = ramp,
    believed: Callable[[float], float] = lambda share: share,
) -> float:
    """The mean e-value over all events of two arms whose rates have a ratio."""

    def chances(before: tuple[bool, ...]) -> list[tuple[bool, float]]:
        weighted = share(before) * ratio
        ours = weighted / (weighted + 1 - share(before))
        return [(True, ours), (False, 1 - ours)]

    def won(before: tuple[bool, ...]) -> float:
        splits = [
            Split(believed(share(before[:at])), float(ours), float(not ours))
            for at, ours in enumerate(before)
        ]
        return exp(value(splits))

    return mean_when_stopped(EVENTS, chances, won, stop_at)


@pytest.mark.parametrize("share", [ramp, by_evidence])
@pytest.mark.parametrize("stop_at", STOPS)
@pytest.mark.parametrize("ratio", [1.0, 0.9, 0.3, 0.0])
def test_harm_of_a_harmless_version_has_a_mean_of_at_most_one(
    ratio: float, stop_at: float, share: Callable[[tuple[bool, ...]], float]
) -> None:
    """All outcomes, along a ramp and along shares that depend on them, stopped at a success."""
    found = mean(log_worse, ratio, stop_at, share)
    assert found <= 1 + 1e-9
    if ratio == 1.0:
        assert found == pytest.approx(1.0)


@pytest.mark.parametrize("stop_at", STOPS)
@pytest.mark.parametrize("margin", [0.1, 1.0, 9.0])
@pytest.mark.parametrize("times", [1.0, 1.2, 5.0])
def test_goodness_of_a_version_at_its_margin_or_beyond_has_a_mean_of_at_most_one(
    times: float, margin: float, stop_at: float
) -> None:
    """At the margin just one, beyond it no more."""
    found = mean(lambda splits: log_not_worse(splits, margin), times * (1 + margin), stop_at)
    assert found <= 1 + 1e-9
    if times == 1.0:
        assert found == pytest.approx(1.0)


def test_evidence_of_an_unequal_split_has_a_mean_of_one_while_it_is_equal() -> None:
    """Also when it is stopped at a success."""
    for stop_at in STOPS:
        assert mean(log_unequal, 1.0, stop_at) == pytest.approx(1.0)


def test_a_share_that_is_not_the_true_one_is_found() -> None:
    """Broken on purpose: bets that take the candidate for smaller than it is."""
    assert mean(log_worse, 1.0, believed=lambda share: share / 2) > 1.5
    assert mean(lambda splits: log_not_worse(splits, 1.0), 2.0, believed=lambda w: w**0.5) > 1.1


def bayes_factor(splits: Sequence[Split]) -> float:
    """Broken on purpose: two shares of events, or one for both arms, each by a Dirichlet prior.

    Each split stands for one unit of either arm, with or without the event.
    """
    ours = sum(each.candidate for each in splits)
    theirs = sum(each.other for each in splits)
    n, m = len(splits), len(splits)
    apart = betaln(ours + 1, n - ours + 1) + betaln(theirs + 1, m - theirs + 1)
    alike = betaln(ours + theirs + 1, n + m - ours - theirs + 1)
    return float(apart - alike)


def test_a_bayes_factor_of_two_shares_is_no_e_value() -> None:
    """Two units a step, one of each arm, both with the chance 1/2: a mean above one."""
    chance = 0.5

    def chances(_: tuple[tuple[int, int], ...]) -> list[tuple[tuple[int, int], float]]:
        each = [(0, 1 - chance), (1, chance)]
        return [((one, other), p * q) for one, p in each for other, q in each]

    def split(before: tuple[tuple[int, int], ...]) -> list[Split]:
        return [Split(0.5, float(one), float(other)) for one, other in before]

    def broken(before: tuple[tuple[int, int], ...]) -> float:
        return exp(bayes_factor(split(before)))

    assert mean_when_stopped(5, chances, broken) > 1.05
    assert mean_when_stopped(5, chances, broken, stop_at=2.0) > 1.05


def test_many_events_at_once_win_what_they_win_one_by_one() -> None:
    """Cuts do not matter, nor the order."""
    whole = [Split(0.05, 3, 10), Split(0.5, 2, 1)]
    parts = [Split(0.05, 1, 4), Split(0.5, 2, 0), Split(0.05, 2, 6), Split(0.5, 0, 1)]
    assert log_worse(whole) == pytest.approx(log_worse(parts))
    assert log_not_worse(whole, 1.0) == pytest.approx(log_not_worse(parts, 1.0))
    assert ratio_interval(whole) == pytest.approx(ratio_interval(parts))


def test_bets_are_ratios_of_binomial_likelihoods() -> None:
    """Against scipy."""
    share, ratio, ours, theirs = 0.2, 3.0, 4, 7
    up, down = log_gains(share, (ratio,), 1.5)
    chances = [share * r / (share * r + 1 - share) for r in (ratio, 1.5)]
    likelihoods = [stats.binom.logpmf(ours, ours + theirs, chance) for chance in chances]
    assert ours * up[0] + theirs * down[0] == pytest.approx(likelihoods[0] - likelihoods[1])


def test_ratios_that_are_bet_on_lie_below_the_bound_and_have_one_among_them() -> None:
    """For all bounds that a margin may give."""
    for bound in (1.001, 1.25, 2.0, 101.0):
        ratios = smaller_than(bound)
        assert max(ratios) < bound
        assert min(abs(each - 1) for each in ratios) < 1e-9
        assert min(ratios) > 1 / 65
    assert max(smaller_than(1.0)) < 1


@pytest.mark.parametrize(("ours", "theirs"), [(5, 40), (0, 30), (12, 0), (300, 4000)])
def test_an_interval_ends_where_the_mixture_has_won_enough(ours: int, theirs: int) -> None:
    """The bets' winnings by scipy's binomial; the likeliest ratio by its closed form."""
    share, alpha = 0.1, 0.05
    lower, upper = ratio_interval([Split(share, ours, theirs)], alpha)
    fine = np.exp(np.linspace(-log(1024.0), log(1024.0), 113))

    def logpmf(ratio: float) -> float:
        chance = share * ratio / (share * ratio + 1 - share)
        return float(stats.binom.logpmf(ours, ours + theirs, chance))

    mixed = log_sum([logpmf(ratio) for ratio in fine]) - log(len(fine))
    for bound in (lower, upper):
        if 0 < bound < inf:
            assert mixed - logpmf(bound) == pytest.approx(log(1 / alpha), abs=1e-6)
    assert (lower == 0) == (ours == 0)
    assert (upper == inf) == (theirs == 0)
    likeliest = likeliest_ratio([Split(share, ours, theirs)])
    if ours and theirs:
        assert likeliest == pytest.approx(ours / theirs * (1 - share) / share)
    assert likeliest is not None
    assert lower <= likeliest <= upper


def test_an_interval_is_near_that_of_the_share_where_the_split_is_constant() -> None:
    """Another mixture, of all shares, leads to nearly the same bounds."""
    ours, theirs, share = 60, 900, 0.05
    bounds = anytime_share(ours, ours + theirs)
    of_share = [bound / (1 - bound) * (1 - share) / share for bound in bounds]
    assert ratio_interval([Split(share, ours, theirs)]) == pytest.approx(of_share, rel=0.05)


def test_nothing_is_said_without_events() -> None:
    """No splits, and splits without any."""
    for splits in ([], [Split(0.1, 0, 0)]):
        assert ratio_interval(splits) == (0.0, inf)
        assert likeliest_ratio(splits) is None
        assert log_worse(splits) == pytest.approx(0.0)


def test_looked_at_often_the_interval_seldom_leaves_the_ratio_out() -> None:
    """Along a ramp, 50 runs of 24 looks at five events, stopped where the interval is wrong."""
    ratio = 1.7

    def ever(seed: int) -> bool:
        rng = np.random.default_rng([51, seed])
        splits = []
        for share in np.repeat([0.05, 0.25, 0.5, 0.9], 6).tolist():
            ours = int(rng.binomial(5, share * ratio / (share * ratio + 1 - share)))
            splits.append(Split(share, ours, 5 - ours))
            lower, upper = ratio_interval(splits)
            if not lower <= ratio <= upper:
                return True
        return False

    assert_alarms_within(0.05, 50, ever)
