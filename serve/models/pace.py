"""How the last batches of a version replica went: how long each took, and which failed."""

from __future__ import annotations

from collections.abc import Iterable
from statistics import median
from typing import NamedTuple

_KEPT = 64
_FAILED = -1.0
_LATELY = 10
_ENOUGH_FAILURES = 5


class Pace:
    """The last 64 batches of one replica, in seconds and rows.

    To note one is two writes: every answer passes here.
    """

    def __init__(self) -> None:
        self._seconds = [0.0] * _KEPT
        self._rows = [0] * _KEPT
        self.count = 0

    def note(self, seconds: float, rows: int) -> None:
        """Take in a batch that was answered."""
        place = self.count % _KEPT
        self._seconds[place] = seconds
        self._rows[place] = rows
        self.count += 1

    def note_failure(self) -> None:
        """Take in a batch that failed."""
        self.note(_FAILED, 0)

    def clear(self) -> None:
        """Forget all: what comes is to be judged by itself."""
        self.count = 0

    def runs(self) -> list[tuple[float, int]]:
        """Give seconds and rows of the batches that were answered, in no order."""
        noted = zip(self._seconds[: self.count], self._rows[: self.count], strict=True)
        return [(seconds, rows) for seconds, rows in noted if seconds >= 0.0]

    @property
    def failing(self) -> bool:
        """Whether at least 5, and 8 of 10, of the last batches failed."""
        last = min(self.count, _LATELY)
        failed = sum(
            self._seconds[(self.count - 1 - back) % _KEPT] == _FAILED for back in range(last)
        )
        return failed >= _ENOUGH_FAILURES and failed >= 0.8 * last

    @property
    def failed_share(self) -> float:
        """The share of the kept batches that failed."""
        kept = min(self.count, _KEPT)
        return self._seconds[:kept].count(_FAILED) / kept if kept else 0.0


class Usual(NamedTuple):
    """What is usual for a version: the median run, the longest of late, the most rows of one."""

    median_s: float
    longest_s: float
    rows: int

    def longest_of(self, rows: int) -> float:
        """Give for how long a batch of so many rows may be expected to run at most."""
        return self.longest_s * max(1.0, rows / max(1, self.rows))


def usual(paces: Iterable[Pace]) -> Usual | None:
    """Give what is usual for replicas of one version; None while none has answered a batch."""
    runs = [run for pace in paces for run in pace.runs()]
    if not runs:
        return None
    seconds = [run[0] for run in runs]
    return Usual(median(seconds), max(seconds), max(run[1] for run in runs))
