"""Counts by group, and bets that begin every hour: together they are one e-value."""

from itertools import product

import numpy as np
import pytest

from monitors.fairness import cells as module
from monitors.fairness.cells import BET, Cells
from monitors.fairness.findings import evidence
from monitors.fairness.measures import EQUALISED_ODDS, SELECTION_RATE, Measure, Units
from monitors.stats.anytime_gaps import Allowed
from tests.monitors.stats.fair import assert_mean_at_most_one

GROUPS = ("f", "m", "m", "f", "f", "m", "f", "m")
HOURS = (0, 0, 0, 1, 1, 2, 3, 3)
EVERY = np.ones(1, dtype=np.int64)
ALLOWED = Allowed(gap=0.1)


def values(measure: Measure, part: tuple[int, ...], armed_after: int | None) -> np.ndarray:
    """What the evidence of `f` is worth after all outcomes of eight rows in four hours."""
    found = []
    for outcome in product((0, 1), repeat=len(GROUPS)):
        cells = Cells(["f", "m"], len(measure.shares))
        for at, (group, hour, hit) in enumerate(zip(GROUPS, HOURS, outcome, strict=True)):
            units = Units(np.array([part[at]]), np.array([hit]))
            cells.take(hour, [group], units, EVERY, EVERY > 0)
            if at == armed_after:
                cells.rearm([cells.names["f"]])
        since = cells.since()
        log_each = evidence(measure, since.own[:, BET], since.others[:, BET], ALLOWED, None)
        log_e = cells.mixed(since.log_weights + log_each)
        found.append(np.exp(log_e[cells.names["f"]]))
    return np.array(found)


def check_means(
    measure: Measure, part: tuple[int, ...] = (0,) * 8, armed_after: int | None = None
) -> None:
    """At pairs of shares that differ by just what is allowed, and at equal ones."""
    outcomes = np.array(list(product((0, 1), repeat=len(GROUPS))))
    worth = values(measure, part, armed_after)
    of_f = np.array(GROUPS) == "f"
    for high in (0.1, 0.3, 0.5, 0.8, 1.0):
        for pair in ((high, high), (high, high - 0.1), (high - 0.1, high)):
            shares = np.where(of_f, pair[0], pair[1])
            chances = np.where(outcomes == 1, shares, 1 - shares).prod(axis=1)
            assert_mean_at_most_one(worth, chances)


def test_the_mean_is_at_most_one() -> None:
    """Of one share, of two, and armed anew in the middle."""
    check_means(SELECTION_RATE)
    check_means(SELECTION_RATE, armed_after=2)
    check_means(EQUALISED_ODDS, part=(0, 0, 1, 1, 0, 1, 1, 0))


def test_bets_that_are_worth_too_much_are_found(monkeypatch: pytest.MonkeyPatch) -> None:
    """Every hour's bet with a weight of one: the mean is above it."""
    monkeypatch.setattr(module, "start_weight", lambda _: 1.0)
    with pytest.raises(AssertionError):
        check_means(SELECTION_RATE)


def test_a_state_of_another_measure_is_refused() -> None:
    """With another number of shares."""
    with pytest.raises(ValueError, match="shape"):
        Cells([], 1).restore(Cells([], 2).state())
