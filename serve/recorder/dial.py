"""How much is sampled: a rate in halves, set by traffic, by what the monitors can fold, by load."""

from __future__ import annotations

from dataclasses import dataclass
from math import inf

from monitors.blocks import Folded

DRAWS = 1 << 32
"""How many values the draw of a prediction can take; see `Dial`."""

LEAST_SHED = 1 / 1024
_FILL = 0.45
"""Below this share of the target the rate goes up; less than a half, lest it fall again."""
_RELIEF_TURNS = 4
"""How many turns monitors that are behind get to catch up before they are sent less again."""
_PAUSE_TURNS = 20
"""How many turns there are between two steps up, from when they were behind until all is well."""
_FREE_ROWS = 500
"""So many rows a turn cost next to nothing: they are kept whole, also before anything is known."""
_MEMORY = 0.8
"""How much of what was known of the cost of a row counts after the next answer."""


@dataclass(frozen=True, slots=True)
class Capacity:
    """What the monitors can take: rows a second, and whether they are behind with what they got."""

    rows_per_s: float = inf
    behind: bool = False


class Dial:
    """The sampling rate, set so that about `target` rows a second are kept.

    A prediction is kept when the last 32 bits of its id are below `limit`: the id alone decides,
    so that a prediction, its shadow answers and its label are kept together. The rate moves in
    halves, so that what is kept at a lower rate is part of what is kept at a higher one. No more
    is kept than the monitors have the `capacity` for. While requests are refused, or the monitors
    are behind, the rate only falls, to no less than 1/1024.

    A turn of `period_s` that has its fill halves the rate before it ends, also for what it kept:
    who takes that has to leave out what is not `within` the rate. The first turns get little; as
    long as the monitors keep up, each full one makes room for twice as much (slow start, RFC 5681).
    """

    def __init__(self, target: float, period_s: float = 0.5) -> None:
        self._target = target
        self._period_s = period_s
        self._opened_rows = self._fill_rows = _FREE_ROWS
        self.kept_rows = 0.0
        self._behind_turns = 0
        self._pause_turns = 0
        self._wary = False
        self.capacity = Capacity()
        self.rate = 1.0 if target > 0 else 0.0
        self.limit = int(self.rate * DRAWS)

    def kept(self, rows: int) -> None:
        """Count rows that were kept; if the turn was full, the rate and what it has kept halve."""
        if self.kept_rows >= self._fill_rows:
            self.halve()
        self.kept_rows += rows

    def halve(self) -> None:
        """Keep half, also of what this turn has kept."""
        self.kept_rows /= 2
        self.rate /= 2
        self.limit = int(self.rate * DRAWS)

    def turn(self, kept_rows: float, seconds: float, *, refusing: bool = False) -> None:
        """Set the rate by the rows that were kept in the last `seconds`."""
        self.kept_rows = 0.0
        if self.rate == 0.0 or seconds <= 0.0:
            return
        per_second = kept_rows / seconds
        target = min(self._target, self.capacity.rows_per_s)
        while per_second > target:
            self.rate, per_second = self.rate / 2, per_second / 2
        if refusing or self._sheds():
            self.rate = max(self.rate / 2, min(self.rate, LEAST_SHED))
        elif self.rate == 1.0 or per_second >= _FILL * target:
            self._wary = False
        elif not self._pause_turns:
            self.rate *= 2
            self._pause_turns = _PAUSE_TURNS if self._wary else 0
        self.limit = int(self.rate * DRAWS)
        if kept_rows >= _FILL * self._opened_rows and not (refusing or self.capacity.behind):
            self._opened_rows *= 2
        paid_for = max(_FREE_ROWS, int(target * self._period_s))
        self._fill_rows = min(self._opened_rows, paid_for)

    def _sheds(self) -> bool:
        """Whether it is time to send less to monitors that are behind."""
        if not self.capacity.behind:
            self._behind_turns = 0
            self._pause_turns = max(0, self._pause_turns - 1)
            return False
        self._wary = True
        self._pause_turns = _PAUSE_TURNS
        self._behind_turns += 1
        return self._behind_turns % _RELIEF_TURNS == 1


class FoldCost:
    """What a row costs the monitors, from what they have folded in all, as they tell it again."""

    def __init__(self) -> None:
        self._last = Folded()
        self._rows = 0.0
        self._seconds = 0.0

    def learn(self, folded: Folded) -> None:
        """Take in the latest totals; ones that are less than the last come from another start."""
        if folded.rows < self._last.rows:
            self._last = Folded()
        rows = folded.rows - self._last.rows
        if rows > 0:
            self._rows = self._rows * _MEMORY + rows
            self._seconds = self._seconds * _MEMORY + folded.seconds - self._last.seconds
        self._last = folded

    def rows_per_s(self, share: float) -> float:
        """How many rows a second take no more than a `share` of one core; infinite if unknown."""
        return share * self._rows / self._seconds if self._seconds > 0 else inf
