"""How many requests a version may have in flight, so that they wait little and it never idles.

Additive and multiplicative increase while the limit is what holds requests back; a cut when a
queue stands, as in CoDel (RFC 8289): a burst that drains is no overload, a queue that never does
is. How long requests stay follows from how many there are and how many leave (Little, 1961), so
that it does not matter which batches they shared or which replica took them.
"""

from __future__ import annotations

from dataclasses import dataclass

from serve.admission.runs import Runs

_WINDOW_S = 0.1
_WINDOW_BATCHES, _WINDOW_JOBS = 4, 32
_HARSHEST = 0.5
_GENTLEST = 0.95
_GROWTH, _FAST_GROWTH = 1.05, 1.5
_ROOM = 0.6
"""While requests wait less than this share of the target, fast growth does not go beyond it."""
_TARGET_RUNS = 4.0
"""To wait for so many runs of one job is no queue: a slow model cannot have less."""
_START = 128
_NEVER = 1 << 30


@dataclass(frozen=True, slots=True)
class Bounds:
    """What an operator allows: a wait in seconds, and the most requests in flight."""

    wait_target_s: float
    in_flight_max: int


class Limit:
    """The limit of one version; readings of a clock are arguments.

    A window ends with the first batch after 0.1 s and four batches or 32 jobs. Its standing queue
    is the least that was in flight whenever a batch came back, and none if nothing else was.
    """

    def __init__(self, bounds: Bounds) -> None:
        self._bounds = bounds
        self._runs = Runs()
        self._limit = float(min(_START, bounds.in_flight_max))
        self._held_back = False
        self._waited_long = False
        self._peak_before = 0
        self._opened_at = 0.0
        self._idle = True
        self._batches = self._done = self._peak = 0
        self._least = _NEVER

    @property
    def value(self) -> int:
        """How many requests may be in flight now."""
        return int(self._limit)

    @property
    def target_s(self) -> float:
        """How long a request may wait, beyond the run that it would need if it were alone."""
        return max(self._bounds.wait_target_s, _TARGET_RUNS * self._runs.alone_s)

    def busy(self, in_flight: int) -> bool:
        """Whether more than half of the limit is used, or was of late, or of the wait target."""
        used = max(in_flight, self._peak, self._peak_before)
        return self._waited_long or used > self._limit / 2

    def admits(self, in_flight: int) -> bool:
        """Whether one more may come to those in flight."""
        if in_flight < int(self._limit):
            return True
        self._held_back = True
        return False

    def ran(self, now: float, jobs: int, seconds: float, in_flight: int, replicas: int) -> None:
        """Take in a batch that came back: its jobs, how long it was out, how many were in flight.

        `in_flight` includes the batch's jobs, `replicas` is how many batches can be out at once.
        """
        self._runs.ran(jobs, seconds)
        if self._idle and self._batches == 0:
            self._opened_at = now - seconds  # Nobody could have been answered before.
        self._idle = in_flight <= jobs
        self._batches += 1
        self._done += jobs
        self._peak = max(self._peak, in_flight)
        self._least = min(self._least, 0 if self._idle else in_flight)
        enough = self._batches >= _WINDOW_BATCHES or self._done >= _WINDOW_JOBS
        if enough and now - self._opened_at >= _WINDOW_S:
            self._turn(now, 2 * replicas)

    def _turn(self, now: float, floor: int) -> None:
        """End a window: cut, grow or keep the limit."""
        allowed_s = self._runs.alone_s + self.target_s
        per_s = self._done / (now - self._opened_at)
        waited_s = max(self._least / per_s - self._runs.alone_s, 0.0)
        limit = self._limit
        if waited_s > self.target_s:
            limit = max(_HARSHEST * limit, min(_GENTLEST * limit, per_s * allowed_s))
        elif self._held_back:
            growth = _FAST_GROWTH if waited_s < _ROOM * self.target_s else _GROWTH
            limit = max(limit + 1, limit * growth)
        elif self._least == 0:
            limit = max(limit, min(limit + 1, _START))
        self._limit = min(max(limit, float(floor)), float(self._bounds.in_flight_max))
        self._held_back = False
        self._waited_long = waited_s > self.target_s / 2
        self._peak_before = self._peak
        self._open(now)

    def _open(self, now: float) -> None:
        self._opened_at = now
        self._batches = self._done = self._peak = 0
        self._least = _NEVER
