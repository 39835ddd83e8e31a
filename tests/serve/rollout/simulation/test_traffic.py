"""Generated traffic is split at random, and otherwise the same for all arms."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from configs.policy import Metric
from serve.rollout.simulation.counts import Ints
from serve.rollout.simulation.outcomes import Share
from serve.rollout.simulation.traffic import ROUGH, Stream, Traffic

SIZE = 300


def whole(traffic: Traffic, candidate_bp: int, baseline_bp: int, ticks: int = 60) -> list[Ints]:
    """Units, first requests with an error and first errors, (rollouts, arms), of some minutes."""
    stream, rows = Stream(traffic, SIZE, 3), np.arange(SIZE)
    shares = np.full(SIZE, candidate_bp), np.full(SIZE, baseline_bp)
    sums = [np.zeros((SIZE, 3), np.int64) for _ in range(3)]
    for tick in range(ticks):
        counts, _ = stream.tick(tick * 10.0, 10.0, rows, *shares)
        parts = counts.units, counts.trials, counts.events
        sums[0] += parts[0]
        sums[1] += parts[1][Metric.ERROR_RATIO]
        sums[2] += parts[2][Metric.ERROR_RATIO]
    return sums


def test_units_are_split_as_they_should_be() -> None:
    """In all rollouts together, within four standard errors."""
    units, _, _ = whole(ROUGH, 2000, 1000)
    total = units.sum()
    for arm, share in enumerate((0.2, 0.1, 0.7)):
        error = np.sqrt(share * (1 - share) / total)
        assert abs(units[:, arm].sum() / total - share) < 4 * error


def test_a_unit_that_comes_again_is_counted_once() -> None:
    """And its first event, whenever that is."""
    only = replace(ROUGH, sticky=1.0, users=20, frail=1.0, frail_chance=0.5, outages=0.0)
    units, trials, events = whole(only, 5000, 0, ticks=200)
    assert (units.sum(1) == 20).all()
    assert (events.sum(1) == 20).all()
    assert 8 < trials.sum(1).mean() < 12


def test_arms_that_are_alike_have_events_alike() -> None:
    """However rough the traffic is."""
    _, _, events = whole(ROUGH, 5000, 0)
    ours, theirs = events[:, 0].sum(), events[:, 2].sum()
    assert abs(ours - theirs) < 4 * np.sqrt(ours + theirs)


def test_a_worse_version_is_worse_from_when_it_is() -> None:
    """By as much as was asked."""
    calm = Traffic(worse={Metric.ERROR_RATIO: 10.0}, harm_from_s=300.0)
    _, _, late = whole(calm, 5000, 0)
    _, _, never = whole(calm, 5000, 0, ticks=30)
    ours, theirs = (late - never).sum(0)[[0, 2]]
    assert abs(never.sum(0)[0] - never.sum(0)[2]) < 4 * np.sqrt(never.sum())
    assert 9 < ours / theirs < 11


def test_what_comes_does_not_depend_on_how_it_is_split() -> None:
    """The same seed brings the same load to every rule."""
    calm = replace(Traffic(), swing=0.8)
    one, other = (whole(calm, share, 0)[0].sum() for share in (100, 9000))
    assert abs(one - other) < 4 * np.sqrt(one + other)


def test_the_upper_bound_of_nothing_in_so_many_is_the_rule_of_three() -> None:
    """Clopper and Pearson: 1 - 0.05^(1/n), about 3/n."""
    assert abs(Share(0, 300).upper() - (1 - 0.05 ** (1 / 300))) < 1e-12
    assert Share(5, 5).upper() == 1.0
