"""Rows cut into blocks by their place, and whole numbers tallied since any of them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from monitors.stats.checkpoints import Checkpoints, kept

Floats = NDArray[np.float64]
Counts = NDArray[np.int64]

BLOCK_ROWS = 10
"""A bet may begin at every block of some rows."""

_PARTS = 2.0**30


def parts(values: Floats) -> Counts:
    """Numbers of a few units as whole parts of 2^-30: their sums do not depend on their order."""
    return np.rint(values * _PARTS).astype(np.int64)


def whole(tallied: Counts) -> list[float]:
    """What was told in `parts`, as numbers."""
    return [each / _PARTS for each in tallied.tolist()]


class RowBlocks:
    """Adds up `sums` numbers of each row by block, and `tallies` whole numbers since any block.

    The cuts do not depend on how rows came.
    """

    def __init__(self, sums: int, tallies: int, rows: int = BLOCK_ROWS) -> None:
        self._rows = rows
        self._open = np.zeros(sums)
        self._filled = 0
        self._blocks = 0
        self._history = Checkpoints(np.zeros(tallies, dtype=np.int64))
        self.tallied = np.zeros(tallies, dtype=np.int64)

    def take(self, values: Floats, tallies: Counts) -> Floats:
        """Take in rows, at least one: values (rows, sums) and tallies (rows, tallies).

        Returns running sums of the values, (blocks, sums), from the first to the end of each block
        that these rows complete.
        """
        ends = np.arange(self._rows - self._filled, len(values) + 1, self._rows)
        sums = np.add.reduceat(values, np.append(0, ends[ends < len(values)]), axis=0)
        sums[0] += self._open
        self._filled = (self._filled + len(values)) % self._rows
        self._open = sums[-1].copy() if self._filled else np.zeros_like(self._open)
        before, running = self.tallied, np.cumsum(tallies, axis=0)
        self.tallied = before + running[-1]
        first = self._blocks + 1
        self._blocks += len(ends)
        self._history.forget(self._blocks)
        for block, end in enumerate(ends.tolist(), start=first):
            if kept(block, self._blocks):
                self._history.add(block, before + running[end - 1])
        ended: Floats = np.cumsum(sums[: len(ends)], axis=0)
        return ended

    def since(self, block: int) -> Counts:
        """The tallies since about the end of so many blocks."""
        return self.tallied - self._history.nearest(block)

    def state(self) -> dict[str, NDArray[Any]]:
        """All that must be remembered."""
        return {
            **self._history.state(),
            "open": self._open,
            "cut": np.array([self._filled, self._blocks], dtype=np.int64),
            "tallied": self.tallied,
        }

    def restore(self, state: Mapping[str, NDArray[Any]]) -> None:
        """Go on from a state; `ValueError` where it is not one of rows like these."""
        for name, own in (("open", self._open), ("tallied", self.tallied)):
            if state[name].shape != own.shape:
                message = f"{name} of shape {own.shape}, not {state[name].shape}"
                raise ValueError(message)
        self._history.restore(state)
        self._open = state["open"].astype(np.float64)
        self.tallied = state["tallied"].astype(np.int64)
        self._filled, self._blocks = state["cut"].tolist()
