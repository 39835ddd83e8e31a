"""Bets on blocks of time are fair ones, however many events a block has."""

from __future__ import annotations

from math import exp, inf

import numpy as np
import pytest

from monitors.stats.event_ratio import WORSE, log_gains, smaller_than
from monitors.stats.mishap_bets import (
    log_below_gains,
    log_not_worse_gains,
    log_worse_gains,
)

MARGINS = (0.25, 1.0, 4.0)


def test_with_one_event_a_block_they_are_the_bets_on_who_had_it() -> None:
    """With arms of equal size, against one ratio and against another."""
    ours, theirs = log_gains(0.5, WORSE)
    assert log_worse_gains(1.0, 0.0) == pytest.approx(ours)
    assert log_worse_gains(0.0, 1.0) == pytest.approx(theirs)
    for margin in MARGINS:
        bound = 1 + margin
        ratios = smaller_than(bound)
        ours, theirs = log_gains(0.5, ratios, bound)
        assert log_not_worse_gains(1.0, 0.0, margin) == pytest.approx(ours)
        assert log_not_worse_gains(0.0, 1.0, margin) == pytest.approx(theirs)


def test_no_block_costs_a_whole_stake() -> None:
    """Where one arm has nothing else than events, and the other none."""
    for one, other in ((1.0, 0.0), (0.0, 1.0), (1.0, 1.0)):
        gains = [*log_worse_gains(one, other)]
        for margin in (0.005, 1.0):
            gains += log_below_gains(one, other, margin)
        for margin in MARGINS:
            gains += log_not_worse_gains(one, other, margin)
        assert all(-5.0 < gain < inf for gain in gains)


def test_their_mean_is_one_at_the_boundary_and_less_beyond_it() -> None:
    """Whatever the chances of a block of either arm are, and whatever they have to do with it."""
    rng = np.random.default_rng(5)
    ours, theirs = 0.85 * rng.beta(0.3, 0.5, 400), rng.beta(2.0, 1.0, 400)
    theirs *= ours.mean() / theirs.mean()
    every = list(zip(ours.tolist(), theirs.tolist(), strict=True))

    def means(gains: list[tuple[float, ...]]) -> list[float]:
        return [sum(map(exp, each)) / len(each) for each in zip(*gains, strict=True)]

    assert means([log_worse_gains(one, other) for one, other in every]) == pytest.approx([1.0] * 12)
    less = means([log_worse_gains(one - 0.1, other) for one, other in every])
    assert all(mean < 1 for mean in less)
    for margin in (0.005, 0.1):
        at = means([log_below_gains(one + margin, other, margin) for one, other in every])
        assert at == pytest.approx([1.0] * 12)
        beyond = [log_below_gains(one + margin + 0.01, other, margin) for one, other in every]
        assert all(mean < 1 for mean in means(beyond))
