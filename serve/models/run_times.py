"""How long runs of a version take, and so whether one may run on the event loop.

A run on the loop costs least but holds up everything else there; one in a thread costs some 50 µs
more. What a batch will take is read off the curve that warm-up measured, and corrected by what runs
have taken since.
"""

from __future__ import annotations

from serve.models.curve import Curve

_STAY_S = 0.000_20
"""Runs stay on the loop while they should take less than this."""
_COME_S = 0.000_12
"""Runs come to the loop from threads when they should take less than this."""
_HOLDUP_S = 0.005
"""A run of this length on the loop would be noticed: one is enough to leave."""
_WEIGHT = 0.1
_OUTLIER = 4.0
_SIZES_MAX = 4096


class RunTimes:
    """What runs of one version should take, learnt from those that were.

    Without a curve the first run goes to a thread and is taken for typical. Threads may note runs
    at the same time: all that one can overwrite is another's sample.
    """

    def __init__(self, curve: Curve | None = None) -> None:
        self._curve = curve
        self._typical: dict[int, float] = {}
        self._slowness = 1.0
        self._below_s = _STAY_S

    def inline(self, rows: int) -> bool:
        """Whether a batch of so many rows may run on the loop."""
        return self._curve is not None and (
            self._typical_s(rows, self._curve) * self._slowness < self._below_s
        )

    def ran(self, rows: int, seconds: float, *, answered: bool = True) -> None:
        """Note a run; one that failed at once says nothing of those that do not.

        One that would have held up the loop counts in full at once. Others are averaged, and one
        that took several times as long as it should, such as one that lost its processor, counts
        for four times only.
        """
        if not answered and seconds < _HOLDUP_S:
            return
        if self._curve is None:
            self._curve = Curve((rows,), (max(seconds, 1e-9),))
            return
        typical = self._typical_s(rows, self._curve)
        found = seconds / typical
        if seconds >= _HOLDUP_S and found > self._slowness:
            self._slowness = found
        else:
            found = min(found, _OUTLIER * self._slowness)
            self._slowness += _WEIGHT * (found - self._slowness)
        stays = typical * self._slowness < self._below_s
        self._below_s = _STAY_S if stays else _COME_S

    def _typical_s(self, rows: int, curve: Curve) -> float:
        typical = self._typical.get(rows)
        if typical is None:
            typical = max(curve.at(rows), 1e-9)
            if len(self._typical) < _SIZES_MAX:
                self._typical[rows] = typical
        return typical
