"""What is too slow: the rule by which a client loses its connection."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Pace:
    """A client may take `slow_s`, and a second more for every `bytes_per_s` that it moved."""

    slow_s: float
    bytes_per_s: int

    def too_slow(self, seconds: float, moved: int = 0) -> bool:
        """Whether so many bytes in so many seconds are too few."""
        return seconds > self.slow_s + moved / self.bytes_per_s


@dataclass(slots=True)
class Taking:
    """How a client takes what is written to it, from one look to the next; counts are of bytes.

    Each measurement is of what was written when it began, so that a client that takes every
    answer in time may have one on its way at every look.
    """

    _since: float = 0.0
    _taken_then: int = 0
    _goal: int = 0
    _settled: int = 0

    def settled(self, written: int) -> bool:
        """Whether all that was written was taken at an earlier look."""
        return self._settled == written

    def too_slow(self, pace: Pace, now: float, written: int, untaken: int) -> bool:
        """Look at a connection on which so much was `written` so far, and so much is `untaken`."""
        # By TLS the system has more to send than was written, while nothing of it has been taken.
        taken = max(0, written - untaken)
        if taken >= self._goal:
            self._since, self._taken_then, self._goal = now, taken, written
        if untaken == 0:
            self._settled = written
        return untaken > 0 and pace.too_slow(now - self._since, taken - self._taken_then)
