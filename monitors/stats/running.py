"""How many rows lie below each bin, running along the rows of a stream."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache

import numpy as np
from numpy.typing import NDArray

Codes = NDArray[np.int16]
"""Bin numbers, shape (streams, rows); -1 where a row has nothing to say about a stream."""

SKIP = -1
ROWS_MAX = 255
"""Rows that can be counted in one go: a counter is one byte."""

_LANES = 8


class Running:
    """Counts below each bin after each row of a few rows, at most `ROWS_MAX`.

    Eight counters of one byte stand side by side in a 64-bit word, so that one addition moves all
    of them on: the time a row takes hardly depends on the number of bins.
    """

    def __init__(self, codes: Codes, bins: int) -> None:
        if codes.shape[1] > ROWS_MAX:
            message = f"{codes.shape[1]} rows in one go; the most are {ROWS_MAX}"
            raise ValueError(message)
        self.codes = codes
        self.bins = bins
        steps = _steps(bins)
        words = np.empty((*codes.shape, steps.shape[1]), dtype=np.uint64)
        for word in range(steps.shape[1]):
            # A skipped row is -1, and so takes the last step, which counts nowhere.
            np.cumsum(steps[:, word].take(codes), axis=1, out=words[:, :, word])
        self._below = words.view(np.uint8)
        places = np.arange(0, self._below.size, self._below.shape[2])
        self._own_bin = places.reshape(codes.shape) + codes

    def below(self) -> NDArray[np.uint8]:
        """For each row, rows up to it in lower bins, shape (streams, rows); junk where skipped."""
        return self._below.reshape(-1).take(self._own_bin)

    def up_to(self) -> NDArray[np.uint8]:
        """For each row, rows up to it, itself included, in its bin or lower; junk where skipped."""
        return self._below.reshape(-1).take(self._own_bin + 1)

    def present(self) -> NDArray[np.uint8]:
        """For each row, rows up to it that are not skipped, itself included."""
        return self._below[:, :, self.bins]

    def counts(self, ends: Sequence[int]) -> NDArray[np.int64]:
        """How many of the rows before each end are in each bin, shape (ends, streams, bins).

        An end is at least 1.
        """
        last = np.array(ends, dtype=np.intp) - 1
        below = self._below[:, last, : self.bins + 1].astype(np.int64)
        return np.ascontiguousarray(np.diff(below, axis=2).swapaxes(0, 1))


def counted(codes: Codes, bins: int) -> NDArray[np.int64]:
    """How many rows fall into each bin of each stream, shape (streams, bins)."""
    streams = len(codes)
    cells = codes.astype(np.int64) + 1 + np.arange(streams)[:, None] * (bins + 1)
    flat = np.bincount(cells.ravel(), minlength=streams * (bins + 1))
    return flat.reshape(streams, bins + 1)[:, 1:]


@cache
def _steps(bins: int) -> NDArray[np.uint64]:
    """What a row of each bin adds: one to the counter of every bin above. The last adds nothing."""
    lanes = -(-(bins + 1) // _LANES) * _LANES
    steps = np.zeros((bins + 1, lanes), dtype=np.uint8)
    for code in range(bins):
        steps[code, code + 1 : bins + 1] = 1
    return steps.view(np.uint64)
