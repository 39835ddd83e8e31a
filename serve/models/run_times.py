"""How long runs of a version take, and so whether one may run on the event loop.

A run on the loop costs least but holds up everything else there; one in a thread costs some 50 µs
more. What a batch will take is read off the curve that warm-up measured, and corrected by what runs
have taken since.
"""

from __future__ import annotations

from dataclasses import dataclass

from serve.models.curve import Curve


@dataclass(frozen=True, slots=True)
class Patience:
    """Runs stay on the loop below `stay_s`, and come back to it from threads below `come_s`."""

    stay_s: float
    come_s: float


BESIDE_OTHERS = Patience(0.000_20, 0.000_12)
"""Where others wait for the loop: runs in threads would be beside one another."""
ALONE = Patience(0.002_0, 0.001_2)
"""Where only one gateway replica asks: from elsewhere, or from this very loop."""
_HOLDUP_S = 0.005
"""A run of this length on the loop would be noticed: one is enough to leave."""
_LONG_S = 0.1
"""After one such run the loop is spared even where only one gateway replica asks."""
_AT_WORK = 0.25
_WEIGHT = 0.1
_OUTLIER = 4.0
_SIZES_MAX = 4096


def counted(took_s: float, worked_s: float) -> float:
    """Give for how long a run on the loop counts, of which its thread worked so many seconds.

    On a busy machine a run of some µs may wait for a processor for 0.1 s; that says nothing of the
    model. Runs in threads count as they are: there a model may wait for something of its own.
    """
    return took_s if worked_s >= _AT_WORK * took_s else worked_s


class RunTimes:
    """What runs of one version should take, learnt from those that were.

    Without a curve the first run goes to a thread and is taken for typical. Threads may note runs
    at the same time: all that one can overwrite is another's sample.
    """

    def __init__(self, curve: Curve | None = None) -> None:
        self._curve = curve
        self._typical: dict[int, float] = {}
        self._slowness = 1.0
        self._patience = BESIDE_OTHERS
        self._on_loop = True
        self._was_long = False

    def inline(self, rows: int, patience: Patience = BESIDE_OTHERS) -> bool:
        """Decide whether a batch of so many rows runs on the loop."""
        if self._curve is None:
            return False
        self._patience = BESIDE_OTHERS if self._was_long else patience
        expected = self._typical_s(rows, self._curve) * self._slowness
        return expected < self._limit_s

    def ran(self, rows: int, seconds: float, *, answered: bool = True) -> None:
        """Note a run; one that failed at once says nothing of those that do not.

        One that would have held up the loop counts in full at once. Others are averaged, and one
        that took several times as long as it should, such as one that lost its processor, counts
        for four times only.
        """
        self._was_long = self._was_long or seconds >= _LONG_S
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
        self._on_loop = typical * self._slowness < self._limit_s

    @property
    def _limit_s(self) -> float:
        return self._patience.stay_s if self._on_loop else self._patience.come_s

    def _typical_s(self, rows: int, curve: Curve) -> float:
        typical = self._typical.get(rows)
        if typical is None:
            typical = max(curve.at(rows), 1e-9)
            if len(self._typical) < _SIZES_MAX:
                self._typical[rows] = typical
        return typical
