"""How many rows lie below each bin, running along the rows of a stream."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

Codes = NDArray[np.int16]
"""Bin numbers, shape (streams, rows); -1 where a row has nothing to say about a stream."""

SKIP = -1
ROWS_MAX = 2**16 - 1
"""Rows that can be counted in one go."""

_BYTE_ROWS_MAX = 2**8 - 1

Counters = NDArray[np.unsignedinteger[Any]]


class Running:
    """Counts below each bin after each row of some rows, at most `ROWS_MAX`.

    Counters of one byte, or of two for more than 255 rows, stand side by side in 64-bit words, so
    that one addition moves eight or four of them on: the time that a row takes hardly depends on
    the number of bins. All counters of a row are neighbours.
    """

    def __init__(self, codes: Codes, bins: int) -> None:
        rows = codes.shape[1]
        if rows > ROWS_MAX:
            message = f"{rows} rows in one go; the most are {ROWS_MAX}"
            raise ValueError(message)
        self.codes = codes
        self.bins = bins
        counter = np.dtype(np.uint8 if rows <= _BYTE_ROWS_MAX else np.uint16)
        steps = _steps(bins, counter)
        words = np.empty((*codes.shape, steps.shape[1]), dtype=np.uint64)
        for word, step in enumerate(steps.T):
            # A skipped row is -1, and so takes the last step, which counts nowhere.
            np.cumsum(step.take(codes), axis=1, out=words[:, :, word])
        self._below: Counters = words.view(counter)
        width = self._below.shape[2]
        rows_at = np.arange(0, codes.size * width, width).reshape(codes.shape)
        # A skipped row looks up a neighbour's; of the first, that is the last of all.
        self._own = rows_at + codes

    def below(self) -> Counters:
        """For each row, rows up to it in lower bins, shape (streams, rows); junk where skipped."""
        return self._below.reshape(-1).take(self._own)

    def up_to(self) -> Counters:
        """For each row, rows up to it, itself included, in its bin or lower; junk where skipped."""
        return self._below.reshape(-1).take(self._own + 1)

    def present(self) -> Counters:
        """For each row, rows up to it that are not skipped, itself included."""
        return self._below[:, :, self.bins]

    def counts(self, ends: Sequence[int]) -> NDArray[np.int64]:
        """How many of the rows before each end are in each bin, shape (ends, streams, bins).

        An end is at least 1.
        """
        last = np.array(ends, dtype=np.intp) - 1
        below = self._below[:, last, : self.bins + 1].astype(np.int64)
        return np.diff(below, axis=2).swapaxes(0, 1)


def counted(codes: Codes, bins: int) -> NDArray[np.int64]:
    """How many rows fall into each bin of each stream, shape (streams, bins)."""
    streams = len(codes)
    cells = codes.astype(np.int64) + 1 + np.arange(streams)[:, None] * (bins + 1)
    flat = np.bincount(cells.ravel(), minlength=streams * (bins + 1))
    return flat.reshape(streams, bins + 1)[:, 1:]


@cache
def _steps(bins: int, counter: np.dtype[Any]) -> NDArray[np.uint64]:
    """What a row of each bin adds: one to the counter of every bin above. The last adds nothing."""
    in_word = 8 // counter.itemsize
    steps = np.zeros((bins + 1, -(-(bins + 1) // in_word) * in_word), dtype=counter)
    for code in range(bins):
        steps[code, code + 1 : bins + 1] = 1
    return steps.view(np.uint64)
