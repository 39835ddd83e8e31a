"""What is counted by the time of the prediction: the present period of 30 days, and the last."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from monitors.performance.measures import tally_of
from monitors.performance.rows import Floats, Rows
from monitors.performance.tally import Plain, Tally
from monitors.stats.anytime_means import BoundedMean

PERIOD_DAYS = 30
_PERIOD_S = PERIOD_DAYS * 24 * 3600

Places = NDArray[np.int64]


def period_of(moments: Floats) -> Places:
    """The number of the period of each moment, in seconds since 1970; 0 where it is not known."""
    return np.asarray(np.nan_to_num(moments) // _PERIOD_S, dtype=np.int64)


class Tallies:
    """Tallies of the present period and of the one before: figures are of both together.

    Rows of older periods are not counted any more.
    """

    def __init__(self) -> None:
        self._held: dict[int, Tally] = {}

    def add(self, rows: Rows, periods: Places, names: Collection[str]) -> None:
        """Count rows, each in its period, for some measures."""
        for period in np.unique(periods).tolist():
            self._of(period).merge(tally_of(rows.where(periods == period), names))
        newest = max(self._held, default=0)
        self._held = {each: tally for each, tally in self._held.items() if each >= newest - 1}

    def whole(self) -> Tally:
        """The tally of both periods."""
        whole = Tally()
        for tally in self._held.values():
            whole.merge(tally)
        return whole

    def less(self, other: Tallies) -> Tally:
        """The same without what another counted of these periods."""
        left = self.whole()
        for period in self._held.keys() & other._held.keys():
            left.merge(other._held[period], -1)
        return left

    def copy(self) -> Tallies:
        """What is counted now, for later."""
        return Tallies.of_plain(self.plain())

    def forget(self, minute: int) -> bool:
        """Drop periods that ended before a minute since 1970; says whether there were any."""
        old = [period for period in self._held if (period + 1) * _PERIOD_S <= minute * 60]
        for period in old:
            del self._held[period]
        return bool(old)

    def plain(self) -> dict[str, Plain]:
        """All numbers, by texts."""
        return {str(period): tally.plain() for period, tally in sorted(self._held.items())}

    @classmethod
    def of_plain(cls, plain: Mapping[str, Plain]) -> Tallies:
        """Tallies of what `plain` gave."""
        tallies = cls()
        tallies._held = {int(period): Tally.of_plain(each) for period, each in plain.items()}
        return tallies

    def _of(self, period: int) -> Tally:
        return self._held.setdefault(period, Tally())


class Means:
    """Bounded means by period, and what can be bet on them.

    Of all rows, and anew of the rows of each period and those after it, which is how a harm is
    found that comes late: half of the stake is on the first, and the k-th beginning anew has
    1 / (k (k + 1)) of the other half. Of beginnings the last two are kept; what an older one has
    won is given up.
    """

    def __init__(self) -> None:
        self._older = BoundedMean()
        self._held: dict[int, BoundedMean] = {}
        self._begun: dict[int, int] = {}
        self._beginnings = 0

    def update(self, values: Floats, periods: Places) -> None:
        """Take in numbers between 0 and 1 in their order, each of its period."""
        for period in np.unique(np.maximum.accumulate(periods)).tolist() if len(periods) else ():
            self._begin(period)
        for period in np.unique(periods).tolist():
            self._held.get(period, self._older).update(values[periods == period])

    def _begin(self, period: int) -> None:
        if self._held and period <= max(self._held):
            return
        if self._held:
            self._beginnings += 1
            self._begun[period] = self._beginnings
        for each in (period - 1, period):
            self._held.setdefault(each, BoundedMean())
        for old in [each for each in self._held if each < period - 1]:
            self._older.merge(self._held.pop(old))
            self._begun.pop(old, None)

    def recent(self) -> BoundedMean:
        """That of the present period and of the one before."""
        return self._since(min(self._held, default=0))

    def log_wealth(self, won: Callable[[BoundedMean], float]) -> float:
        """The natural logarithm of what all bets have won together, where `won` says it of one."""
        whole = self.recent()
        whole.merge(self._older)
        logs = [np.log(0.5) + won(whole), np.log(0.5 / (self._beginnings + 1))]
        logs += [
            won(self._since(period)) + np.log(0.5 / (k * (k + 1)))
            for period, k in self._begun.items()
        ]
        return float(np.logaddexp.reduce(logs))

    def _since(self, period: int) -> BoundedMean:
        joined = BoundedMean()
        for each, mean in self._held.items():
            if each >= period:
                joined.merge(mean)
        return joined

    def state(self) -> dict[str, NDArray[Any]]:
        """All that must be remembered."""
        held = [[period, *mean.numbers] for period, mean in sorted(self._held.items())]
        begun = [[period, k] for period, k in sorted(self._begun.items())]
        return {
            "older": np.array(self._older.numbers),
            "held": np.array(held, dtype=np.float64).reshape(-1, 4),
            "begun": np.array(begun, dtype=np.int64).reshape(-1, 2),
            "beginnings": np.array(self._beginnings, dtype=np.int64),
        }

    def restore(self, state: Mapping[str, NDArray[Any]]) -> None:
        """Go on from a state; `ValueError` where it is not one of means."""
        self._older = BoundedMean(*state["older"].tolist())
        self._held = {int(period): BoundedMean(*rest) for period, *rest in state["held"].tolist()}
        self._begun = {int(period): int(k) for period, k in state["begun"].tolist()}
        self._beginnings = int(state["beginnings"])
