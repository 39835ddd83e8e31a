"""Running counts remembered at a few past blocks: many recent ones, ever fewer old ones."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray


def kept(block: int, now: int) -> bool:
    """Whether the counts at `block` are still held at block `now`.

    A block divisible by 2^l is held for 4 * 2^l blocks, so that some 2 log2(now) are held and
    the gap between neighbours is at most about half their age. Block 0 is always held.
    """
    return block == 0 or now - block < 4 * (block & -block)


class Checkpoints:
    """Cumulative counts at past blocks; memory grows with the logarithm of time."""

    def __init__(self, start: NDArray[np.int64]) -> None:
        self._counts = {0: start}

    def add(self, block: int, counts: NDArray[np.int64]) -> None:
        """Remember the counts at the end of `block` blocks."""
        self._counts[block] = counts

    def forget(self, now: int) -> None:
        """Let go of what is no longer `kept` at block `now`."""
        for old in [old for old in self._counts if not kept(old, now)]:
            del self._counts[old]

    def nearest(self, block: int) -> NDArray[np.int64]:
        """The remembered counts nearest to `block`."""
        return self._counts[min(self._counts, key=lambda held: (abs(held - block), held))]

    def state(self) -> dict[str, NDArray[np.int64]]:
        """The blocks, shape (held,), and their counts, shape (held, ...)."""
        blocks = sorted(self._counts)
        return {
            "at": np.array(blocks, dtype=np.int64),
            "held": np.stack([self._counts[block] for block in blocks]),
        }

    def restore(self, state: Mapping[str, NDArray[np.int64]]) -> None:
        """Hold what a state holds; `ValueError` where its counts are not of this shape."""
        shape = self._counts[0].shape
        if state["held"].shape[1:] != shape:
            message = f"counts of shape {shape}, not {state['held'].shape[1:]}"
            raise ValueError(message)
        self._counts = dict(zip(state["at"].tolist(), state["held"].copy(), strict=True))
