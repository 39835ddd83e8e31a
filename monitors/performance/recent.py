"""Sums over the rows of the last days: those of the present period and of the one before it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Generic, Protocol, TypeVar

import numpy as np
from numpy.typing import NDArray

from monitors.signal import State, packed, unpacked

DAY_S = 24 * 3600.0

Arrays = Mapping[str, NDArray[Any]]


class Sums(Protocol):
    """**Protocol:** sums that add up: those of two parts of the rows make that of the whole."""

    def arrays(self) -> Arrays:
        """All sums by name, as the arrays that they are kept in."""


S = TypeVar("S", bound=Sums)


class Recent(Generic[S]):
    """Sums by the period in which their rows were predicted, of which the last two are kept.

    So a figure is of the last one or two periods of so many days, and its labels are of the same
    rows as what was expected of them.
    """

    def __init__(self, make: Callable[[], S], days: float) -> None:
        self._make = make
        self._length_s = days * DAY_S
        self._periods: dict[int, S] = {}

    def period_of(self, moment: float) -> int:
        """The number of the period of a moment, in seconds since 1970."""
        return int(moment // self._length_s)

    def periods_of(self, moments: NDArray[np.float64]) -> NDArray[np.int64]:
        """The same of many, 0 where it is not known."""
        return np.asarray(np.nan_to_num(moments) // self._length_s, dtype=np.int64)

    def of(self, period: int) -> S | None:
        """The sums of a period; None if it is older than the last two."""
        if period not in self._periods:
            if self._periods and period < max(self._periods) - 1:
                return None
            self._periods[period] = self._make()
            for old in [each for each in self._periods if each < period - 1]:
                del self._periods[old]
        return self._periods[period]

    def whole(self) -> S:
        """The sums of both periods together."""
        whole = self._make()
        for each in self._periods.values():
            _add(whole.arrays(), each.arrays())
        return whole

    def forget(self, minute: int) -> bool:
        """Drop periods that ended before a minute since 1970; says whether there were any."""
        old = [each for each in self._periods if (each + 1) * self._length_s <= minute * 60]
        for period in old:
            del self._periods[period]
        return bool(old)

    def state(self) -> State:
        """All sums, by period."""
        return packed({str(period): each.arrays() for period, each in self._periods.items()})

    def restore(self, state: State) -> None:
        """Go on from a state; `ValueError` where its sums are others than these."""
        self._periods = {}
        for period in sorted({int(name.partition("/")[0]) for name in state}):
            held, sums = unpacked(state, str(period)), self._make()
            _check(sums.arrays(), held)
            _add(sums.arrays(), held)
            self._periods[period] = sums


class OfRecent(Generic[S]):
    """What detectors have in common whose figures rest on the sums of the last days alone.

    One without anything to sum up has no sums.
    """

    def __init__(self) -> None:
        self._recent: Recent[S] | None = None

    def rearm(self, subject: str) -> None:
        """Nothing is forgotten: figures rest on counts, and not on evidence."""

    def forget(self, minute: int) -> bool:
        """Drop the periods that ended before a minute; says whether there were any."""
        return self._recent is not None and self._recent.forget(minute)

    def state(self) -> State:
        """The sums of the last two periods."""
        return {} if self._recent is None else self._recent.state()

    def restore(self, state: State) -> None:
        """Go on from a state."""
        if self._recent is not None:
            self._recent.restore(state)


def _add(to: Arrays, more: Arrays) -> None:
    for name, array in to.items():
        np.add(array, more[name], out=array)


def _check(known: Arrays, held: Arrays) -> None:
    shapes = {name: array.shape for name, array in known.items()}
    others = {name: array.shape for name, array in held.items()}
    if shapes != others:
        message = f"sums of the shapes {others}, not {shapes}"
        raise ValueError(message)
