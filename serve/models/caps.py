"""How large a batch may grow: as long as it pays, leaves others their share, and is in time.

The reasons and what was simulated are in docs/decisions/0008-batch-caps.md.
"""

from __future__ import annotations

from math import inf

from serve.models.curve import Curve

_BESIDE_S = 0.000_1
"""What a batch costs besides its run: two frames, four ends of a socket, two turns of a loop."""
_FULL = 0.03
"""A batch grows until twice the rows would make a row less than 2 % cheaper."""
_SHARED = 1 / 3
"""Replicas share what waits down to where half the rows would make a row 26 % dearer."""
_NEW = 1 / 16


class Caps:
    """The rows of the next batch and the seconds of its run, from what the version told.

    The shape of the curve is as measured at warm-up; how much slower batches come back than it
    says is learnt from those of late. Before a curve is known, `max_rows` is the only cap.
    `longest_s` is for how long the largest batch of several jobs will be out.
    """

    __slots__ = ("_curve", "_max_rows", "_most", "_shared", "_slowness", "longest_s")

    def __init__(self, max_rows: int) -> None:
        self._max_rows = max_rows
        self._most = self._shared = max_rows
        self._curve: Curve | None = None
        self.longest_s = 0.0
        self._slowness = 1.0

    def learn(self, curve: Curve) -> None:
        """Take in what a replica of the version measured; the last one counts."""
        self._curve = curve
        self._most = curve.worth(self._max_rows, _BESIDE_S, _FULL)
        self._shared = curve.worth(self._max_rows, _BESIDE_S, _SHARED)
        self.longest_s = self.seconds(self._most)

    def ran(self, rows: int, seconds: float) -> None:
        """Take in for how long a batch of so many rows was out."""
        if self._curve is not None:
            ratio = seconds / (_BESIDE_S + self._curve.at(rows))
            self._slowness += _NEW * (ratio - self._slowness)
            self.longest_s = self.seconds(self._most)

    def rows(self, waiting: int, carriers: int) -> int:
        """Give the most rows of a batch when so many wait, and so many carriers may take some."""
        if carriers <= 1:
            return self._most
        return min(self._most, max(self._shared, -(-waiting // carriers)))

    def seconds(self, rows: int) -> float:
        """Give for how long a batch of so many rows will be out, 0 if nothing is known."""
        if self._curve is None:
            return 0.0
        return self._slowness * (_BESIDE_S + self._curve.at(rows))


class Room:
    """What one batch may still take.

    A job joins only if the batch will be back before the deadlines of all that it holds. One that
    would be late even alone is sent like any other, since estimates may be wrong, but makes no
    batch small.
    """

    __slots__ = ("_bytes", "_caps", "_earliest", "_empty", "_now", "_rows", "_taken", "_weight")

    def __init__(self, rows: int, size: int, caps: Caps, now: float) -> None:
        self._rows = rows
        self._bytes = size
        self._caps = caps
        self._now = now
        self._taken = self._weight = 0
        self._earliest = inf
        self._empty = True

    def takes(self, rows: int, size: int, deadline: float) -> bool:
        """Whether a job of so many rows and bytes joins; the first one always does."""
        seconds, now = self._caps.seconds, self._now
        taken, weight = self._taken + rows, self._weight + size
        late = now + seconds(rows) > deadline
        earliest = self._earliest if late else min(self._earliest, deadline)
        if not self._empty:
            if taken > self._rows or weight > self._bytes:
                return False
            if now + seconds(taken) > earliest:
                return False
        self._taken, self._weight, self._earliest, self._empty = taken, weight, earliest, False
        return True
