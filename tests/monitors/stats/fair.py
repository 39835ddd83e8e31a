"""Checks that every e-value must pass, and that a broken one must fail."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from scipy import stats


def assert_mean_at_most_one(e_values: np.ndarray, chances: np.ndarray) -> None:
    """The mean over all outcomes, each with its chance, is at most one."""
    assert float(e_values @ chances) <= 1 + 1e-9


def assert_alarms_within(budget: float, runs: int, ever: Callable[[int], bool]) -> None:
    """`ever(seed)` runs once without change; true means that the e-value reached 1/budget.

    The number of such runs must be what a chance of `budget` allows (99.9 %).
    """
    alarms = sum(ever(seed) for seed in range(runs))
    assert alarms <= stats.binom.ppf(0.999, runs, budget), f"{alarms} of {runs}"
