"""A bounded sample of live rows: dense for the last minutes, ever thinner for the time before.

It lives in the memory of the process that watches, and is part of no state that outlives it. What
is in it is forgotten after three days.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from monitors.blocks import SampleBlock
from monitors.stats.uniforms import mixed, stream_keys
from monitors.why.arrivals import Arrivals
from monitors.why.kept_rows import KeptRows, Picked, picked, read, together
from registry.card import Card, Policy

WINDOW_ROWS = 256
"""Rows kept of one window, at most."""

ROWS_WORTH_KEEPING = 16
"""With fewer rows a window there is nothing to be said; rows that are so wide are not kept."""

MEMORY_MAX_BYTES = 4 * 2**20
"""What the rows of one version in one role may take."""

_LENGTHS = np.array([1, 8, 64, 512], dtype=np.int64)
_WINDOWS = 8
_FORGOTTEN_MINUTES = int(_LENGTHS[-1]) * _WINDOWS
_MINUTE = 60
_UNTIDY_ROWS = 1024
_TEXT_BYTES = 64
_ALL = np.uint64(2**64 - 1)
(_STREAM,) = stream_keys(["why"])


class Reservoir:
    """Of each window of time the rows with the smallest ranks; a rank is a hash of the row's key.

    Windows are a minute long; what is more than eight minutes old is in windows of eight minutes,
    then of 64, then of 512. The smallest ranks of a long window are among the smallest of its
    parts, so that what is kept is a function of the rows that came and of the minute it is now: it
    does not depend on their order, and reservoirs of several replicas merge exactly.
    """

    def __init__(self, card: Card, window_rows: int = WINDOW_ROWS) -> None:
        self._card = card
        self._dropped = [each for each in card.features if each.policy is Policy.DROP]
        self._window_rows = window_rows
        self._shapes: list[dict[str, tuple[object, ...]]] | None = None
        self._tidy: KeptRows | None = None
        self._new: list[Picked] = []
        self._untidy = 0
        self._now = 0
        self._limit = (0, _ALL)
        self.arrivals = Arrivals(
            int(_LENGTHS[0]) * _WINDOWS * _MINUTE, _FORGOTTEN_MINUTES * _MINUTE
        )

    @property
    def keeps(self) -> bool:
        """Whether rows of this kind are kept at all."""
        return self._window_rows >= ROWS_WORTH_KEEPING

    def add(self, block: SampleBlock) -> None:
        """Take in the rows of a block; those of another shape than the first ones are left out."""
        if not block.rows:
            return
        if self._shapes is None:
            self._shapes = _shapes(block)
            self._window_rows = min(self._window_rows, _affordable(block))
        if not self.keeps or self._shapes != _shapes(block):
            return
        self.forget(block.minute)
        self.arrivals.add(int(block.made_at), block.rows)
        ranks = mixed(block.keys() ^ _STREAM)
        minute, limit = self._limit
        at = np.flatnonzero(ranks <= limit) if minute == block.minute else np.arange(block.rows)
        if len(at):
            self._new.append(picked(self._dropped, block, ranks, at))
            self._untidy += len(at)
            if self._untidy >= _UNTIDY_ROWS:
                self._tidy_up()

    def merge(self, other: Reservoir) -> None:
        """Take in all that another replica holds."""
        self.arrivals.merge(other.arrivals)
        self.forget(other._now)
        self._shapes = self._shapes or other._shapes
        self._window_rows = min(self._window_rows, other._window_rows)
        other._tidy_up()
        if other._shapes == self._shapes:
            self._tidy_up(other._tidy)

    def forget(self, minute: int) -> None:
        """Let go of what is too old for a minute since 1970 that has come."""
        before, self._now = self._now, max(self._now, minute)
        if before // _WINDOWS != self._now // _WINDOWS:  # Every eight minutes is often enough.
            self.arrivals.forget(self._now * _MINUTE)
            self._tidy_up()

    def rows(self, since: int, until: int) -> KeptRows | None:
        """A sample of the rows of a time, in seconds since 1970, in which each is as likely.

        `until` is not in it. Rows with the smallest ranks come first. None if there are none.
        """
        self._tidy_up()
        held = self._tidy
        if held is None:
            return None
        inside = (held.moments >= since) & (held.moments < until)
        if not inside.any():
            return None
        # Below the least rank to which a window is full, every row that came is here.
        whole = held.ranks <= self._full_to(held, since, until)
        found = held.take(inside & whole)
        return found.smallest(len(found)) if len(found) else None

    def _tidy_up(self, more: KeptRows | None = None) -> None:
        """Keep of each window the smallest ranks, and nothing that is too old."""
        new = read(self._card, self._new) if self._new else None
        parts = [part for part in (self._tidy, new, more) if part is not None]
        self._new, self._untidy = [], 0
        if not parts:
            return
        rows = together(parts)
        places, length, begins = _in_windows(rows, self._now)
        kept = np.zeros(len(rows), dtype=np.bool_)
        kept[places] = _nth(length[places], begins[places]) < self._window_rows
        held = rows.take(kept & (length > 0))
        self._tidy = held if len(held) else None
        latest = held.ranks[held.moments // _MINUTE == self._now]
        full = len(latest) >= self._window_rows
        self._limit = (self._now, latest.max() if full else _ALL)

    def _full_to(self, rows: KeptRows, since: int, until: int) -> np.uint64:
        """The rank up to which nothing is missing in the windows of a time."""
        places, length, begins = _in_windows(rows, self._now)
        last = np.flatnonzero(
            _nth(length[places], begins[places]) == self._window_rows - 1
        )  # The greatest rank of each window that is full.
        at = places[last]
        ends = (begins[at] + length[at]) * _MINUTE
        touched = (begins[at] * _MINUTE < until) & (ends > since)
        return np.uint64(rows.ranks[at][touched].min(initial=_ALL))


def _in_windows(
    rows: KeptRows, now: int
) -> tuple[NDArray[np.intp], NDArray[np.int64], NDArray[np.int64]]:
    """The rows' places in the order of their windows and ranks; lengths and beginnings of these.

    Lengths and beginnings are in minutes and in the order of the rows; a row that is too old has
    the length 0.
    """
    minutes = rows.moments // _MINUTE
    length = np.zeros(len(rows), dtype=np.int64)
    for each in _LENGTHS[::-1]:
        # A whole window moves at once: those of one window are one sample at any time.
        length[now // each - minutes // each < _WINDOWS] = each
    begins = minutes - minutes % np.maximum(length, 1)
    return np.lexsort((rows.ranks, begins, length)), length, begins


def _nth(length: NDArray[np.int64], begins: NDArray[np.int64]) -> NDArray[np.int64]:
    """How many rows of the same window come before each, of rows in the order of windows."""
    at = np.arange(len(length), dtype=np.int64)
    first = np.ones(len(length), dtype=np.bool_)
    first[1:] = (length[1:] != length[:-1]) | (begins[1:] != begins[:-1])
    return at - np.maximum.accumulate(np.where(first, at, 0))


def _shapes(block: SampleBlock) -> list[dict[str, tuple[object, ...]]]:
    return [
        {name: (tensor.dtype, *tensor.shape[1:]) for name, tensor in tensors.items()}
        for tensors in (block.inputs, block.outputs)
    ]


def _affordable(block: SampleBlock) -> int:
    """How many rows of each window the memory is enough for."""
    row = 32 + sum(
        int(np.prod(tensor.shape[1:]))
        * (_TEXT_BYTES if tensor.dtype == np.object_ else tensor.itemsize)
        for tensor in block.inputs.values()
    )
    return MEMORY_MAX_BYTES // (len(_LENGTHS) * _WINDOWS * row)
