"""Figures of runs: shares with their bounds, delays with their quantiles, the limit of both."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import ceil, inf, log

from scipy.stats import beta

from benchmarks.accuracy.results import Run

CONFIDENCE = 0.95
THRESHOLD = 3_000
"""The evidence that one of 30 features needs when all share a budget of 1 % alike."""


def upper_bound(hits: int, runs: int) -> float:
    """The one-sided 95 % upper bound on a chance that came true so often (Clopper-Pearson)."""
    return 1.0 if hits == runs else float(beta.ppf(CONFIDENCE, hits + 1, runs - hits))


def lower_bound(hits: int, runs: int) -> float:
    """The one-sided 95 % lower bound on a chance that came true so often (Clopper-Pearson)."""
    return 0.0 if hits == 0 else float(beta.ppf(1 - CONFIDENCE, hits, runs - hits + 1))


@dataclass(frozen=True, slots=True)
class Alarmed:
    """In how many runs there was any alarm, and the row of the first, in the median of those."""

    hits: int
    runs: int
    first: float | None

    @classmethod
    def of(cls, runs: Sequence[Run]) -> Alarmed:
        """Counted over runs."""
        firsts = [run.first for run in runs if run.first is not None]
        return cls(len(firsts), len(runs), quantile(firsts, 0.5) if firsts else None)

    @property
    def at_most(self) -> float:
        """The 95 % upper bound on the share of such runs."""
        return upper_bound(self.hits, self.runs)

    @property
    def at_least(self) -> float:
        """The 95 % lower bound on the share of such runs."""
        return lower_bound(self.hits, self.runs)


@dataclass(frozen=True, slots=True)
class Delay:
    """Rows until a change was found; None where so many runs never found it."""

    median: float | None
    late: float | None
    hits: int
    runs: int

    @classmethod
    def of(cls, runs: Sequence[Run]) -> Delay:
        """Over runs; `late` is the delay that nine in ten did not exceed."""
        delays = [run.found for run in runs]
        hits = sum(delay is not None for delay in delays)
        return cls(quantile(delays, 0.5), quantile(delays, 0.9), hits, len(runs))


def quantile(delays: Sequence[int | None], share: float) -> float | None:
    """The delay that a share of the runs did not exceed; None is longer than any."""
    if not delays:
        return None
    ranked = sorted(inf if delay is None else delay for delay in delays)
    found = ranked[max(0, ceil(share * len(ranked)) - 1)]
    return None if found == inf else found


def limit(information: float) -> float:
    """Rows that somebody needs who knows both distributions and when it changed.

    After n rows the evidence is n times the information of one row, in nats, on average.
    """
    return log(THRESHOLD) / information
