"""How long a version's run takes by its rows, and how many rows are worth putting together."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import accumulate, pairwise

import numpy as np

from serve.models.frames import BrokenFrame, Tensors

_POINTS_MAX = 64
_ROWS_MAX, _SECONDS_MAX = 2**31, 1e6


@dataclass(frozen=True, slots=True)
class Curve:
    """Seconds of a run by its rows: straight lines between what was measured, and beyond."""

    rows: tuple[int, ...]
    seconds: tuple[float, ...]

    @classmethod
    def of(cls, measured: Sequence[tuple[int, float]]) -> Curve:
        """Make the curve of (rows, seconds) in ascending order of rows.

        What disturbs a measurement makes it longer, and fewer rows do not take longer than more: so
        no run counts for more than one of more rows did.
        """
        rows, seconds = zip(*measured, strict=True)
        quickest = accumulate(reversed(seconds), min)
        return cls(rows, tuple(quickest)[::-1])

    @classmethod
    def read(cls, told: Tensors) -> Curve:
        """Take a curve as `tensors` gives it; `BrokenFrame` if it is none."""
        if len(told) != 2 or any(t.ndim != 1 or t.dtype != np.float64 for t in told):
            raise BrokenFrame("a curve is two lists of numbers")
        rows, seconds = (tensor.tolist() for tensor in told)
        if not 0 < len(rows) == len(seconds) <= _POINTS_MAX:
            raise BrokenFrame("a curve has as many times as it has sizes, and not too many")
        if not all(0 < n <= _ROWS_MAX and n.is_integer() for n in rows):
            raise BrokenFrame("a curve has whole numbers of rows")
        if not all(0 < s <= _SECONDS_MAX for s in seconds):
            raise BrokenFrame("a curve has times above 0")
        if any(a >= b for a, b in pairwise(rows)) or any(a > b for a, b in pairwise(seconds)):
            raise BrokenFrame("a curve never falls")
        return cls(tuple(map(int, rows)), tuple(seconds))

    def tensors(self) -> Tensors:
        """Give the curve as a frame carries it: rows and seconds, 64-bit floats."""
        return np.array(self.rows, np.float64), np.array(self.seconds, np.float64)

    def at(self, rows: int) -> float:
        """Give the seconds that a run of so many rows takes; at least that of the fewest."""
        known = self.rows
        if rows <= known[0] or len(known) == 1:
            return self.seconds[0]
        upper = min(bisect_right(known, rows), len(known) - 1)
        x, y = known[upper - 1], self.seconds[upper - 1]
        at = y + (rows - x) * (self.seconds[upper] - y) / (known[upper] - x)
        # Rounding must not take it above what was measured.
        return min(at, self.seconds[upper]) if rows <= known[upper] else at

    def worth(self, most: int, beside_s: float, price: float) -> int:
        """Give how many rows, up to `most`, are worth running together.

        A batch costs `beside_s` seconds besides its run. Where c(n) are the seconds a row, those
        are the n for which c(n) n^price is least: doubling them must make a row cheaper by the
        factor 2^price. For seconds a + b n they are min(a / b (1 / price - 1), most): at most the
        share `price` of the speed that is possible is given up, and nothing where b is 0. (Power
        as in Kleinrock, 1979, with another weight.)
        """
        sizes = np.arange(1, most + 1)
        known = (*self.rows, most) if most > self.rows[-1] else self.rows
        run_s = np.interp(sizes, known, [self.at(rows) for rows in known])
        return int(sizes[np.argmin((beside_s + run_s) * sizes ** (price - 1))])
