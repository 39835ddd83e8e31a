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
    the number of bins.
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
        words = np.empty((steps.shape[1], *codes.shape), dtype=np.uint64)
        for word, step in zip(words, steps.T, strict=True):
            # A skipped row is -1, and so takes the last step, which counts nowhere.
            np.cumsum(step.take(codes), axis=1, out=word)
        self._below: Counters = words.view(counter).reshape(*words.shape, 8 // counter.itemsize)

    def below(self) -> Counters:
        """For each row, rows up to it in lower bins, shape (streams, rows); junk where skipped."""
        return self._looked_up(self.codes)

    def up_to(self) -> Counters:
        """For each row, rows up to it, itself included, in its bin or lower; junk where skipped."""
        return self._looked_up(self.codes + 1)

    def present(self) -> Counters:
        """For each row, rows up to it that are not skipped, itself included."""
        word, place = divmod(self.bins, self._below.shape[3])
        return self._below[word, :, :, place]

    def counts(self, ends: Sequence[int]) -> NDArray[np.int64]:
        """How many of the rows before each end are in each bin, shape (ends, streams, bins).

        An end is at least 1.
        """
        last = np.array(ends, dtype=np.intp) - 1
        words, streams, _, in_word = self._below.shape
        found = self._below[:, :, last].transpose(2, 1, 0, 3).astype(np.int64)
        below = found.reshape(len(last), streams, words * in_word)
        return np.diff(below[:, :, : self.bins + 1], axis=2)

    def _looked_up(self, bins: Codes) -> Counters:
        """The counter below a bin of each row: which word, which row, which place in the word."""
        words, _, _, in_word = self._below.shape
        bin_at = np.arange(words * in_word)
        word_at = bin_at // in_word * (self.codes.size * in_word) + bin_at % in_word
        row_at = np.arange(0, self.codes.size * in_word, in_word).reshape(self.codes.shape)
        found: Counters = self._below.reshape(-1).take(word_at.take(bins) + row_at)
        return found


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
