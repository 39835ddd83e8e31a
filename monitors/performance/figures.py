"""A figure of performance with its intervals: at one look, and at every look."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from math import inf, sqrt
from typing import Protocol

from monitors.stats.anytime_normal import at_every_look, at_one_look
from monitors.stats.anytime_shares import anytime_share
from monitors.stats.intervals import wilson

Interval = tuple[float, float]


class Figure(Protocol):
    """**Protocol:** what a measure says of some rows.

    `rows` are those that it is about, and `scarce` how many there are of the kind of which there
    are fewest, without enough of which no interval is worth anything.
    """

    @property
    def value(self) -> float:
        """The measure of the rows."""

    @property
    def rows(self) -> int:
        """How many rows it is about."""

    @property
    def scarce(self) -> int:
        """How many rows there are of the scarcest kind that it needs."""

    def at_one_look(self, alpha: float) -> Interval | None:
        """The interval that covers the truth with chance 1 - alpha at a look; None without one."""

    def at_every_look(self, alpha: float) -> Interval | None:
        """The interval that covers it at all looks at once; None without one."""


@dataclass(frozen=True, slots=True)
class Share:
    """**Figure:** `hits` of `rows`: Wilson's interval at one look, exact at every one."""

    hits: int
    rows: int

    @property
    def value(self) -> float:
        """Hits by rows."""
        return self.hits / self.rows

    @property
    def scarce(self) -> int:
        """All rows are of a kind."""
        return self.rows

    def at_one_look(self, alpha: float) -> Interval | None:
        """Wilson's."""
        return wilson(self.hits, self.rows, at_one_look(alpha))

    def at_every_look(self, alpha: float) -> Interval | None:
        """By `anytime_share`."""
        return anytime_share(self.hits, self.rows, alpha)


def f1_of_share(share: float) -> float:
    """F1, where true positives are such a share of all true, false and missed positives."""
    return 2 * share / (1 + share)


def share_of_f1(f1: float) -> float:
    """The share that makes such an F1."""
    return f1 / (2 - f1)


@dataclass(frozen=True, slots=True)
class F1:
    """**Figure:** F1, which rises with a share and so has the share's intervals, bent."""

    share: Share

    @property
    def value(self) -> float:
        """Twice the true positives, by all that was said or is true."""
        return f1_of_share(self.share.value)

    @property
    def rows(self) -> int:
        """Rows that were said to be positive or are."""
        return self.share.rows

    @property
    def scarce(self) -> int:
        """All of them."""
        return self.share.rows

    def at_one_look(self, alpha: float) -> Interval | None:
        """The share's, bent."""
        return _bent(f1_of_share, self.share.at_one_look(alpha))

    def at_every_look(self, alpha: float) -> Interval | None:
        """The share's, bent."""
        return _bent(f1_of_share, self.share.at_every_look(alpha))


@dataclass(frozen=True, slots=True)
class Estimate:
    """**Figure:** one that is nearly normal, or (`deviation` None) one without any interval.

    `deviation` is that of what a row adds: the standard error is deviation / sqrt(rows). `half`
    takes the place of what a normal interval has at every look, where something exact is known.
    """

    value: float
    rows: int
    scarce: int
    deviation: float | None
    limits: Interval = (-inf, inf)
    half: Callable[[float], float] | None = None

    def at_one_look(self, alpha: float) -> Interval | None:
        """The normal interval."""
        if not self.deviation:
            return None
        return self._around(at_one_look(alpha) * self.deviation / sqrt(self.rows))

    def at_every_look(self, alpha: float) -> Interval | None:
        """The asymptotic one, or the exact one."""
        if self.half is not None:
            return self._around(self.half(alpha))
        if not self.deviation:
            return None
        return self._around(at_every_look(self.rows, alpha) * self.deviation / sqrt(self.rows))

    def _around(self, half: float) -> Interval:
        least, most = self.limits
        return max(least, self.value - half), min(most, self.value + half)


@dataclass(frozen=True, slots=True)
class Root:
    """**Figure:** the square root of a mean, whose intervals are the roots of the mean's."""

    mean: Estimate

    @property
    def value(self) -> float:
        """The root of the mean."""
        return sqrt(self.mean.value)

    @property
    def rows(self) -> int:
        """The rows of the mean."""
        return self.mean.rows

    @property
    def scarce(self) -> int:
        """The same."""
        return self.mean.scarce

    def at_one_look(self, alpha: float) -> Interval | None:
        """The root of the mean's."""
        return _bent(sqrt, self.mean.at_one_look(alpha))

    def at_every_look(self, alpha: float) -> Interval | None:
        """The root of the mean's."""
        return _bent(sqrt, self.mean.at_every_look(alpha))


def _bent(curve: Callable[[float], float], interval: Interval | None) -> Interval | None:
    return None if interval is None else (curve(interval[0]), curve(interval[1]))
