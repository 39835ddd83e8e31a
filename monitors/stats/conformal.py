"""Conformal p-values from counts in fixed bins.

The p-value of a row is its randomised rank among all rows counted so far, itself included:
p = (rows in lower bins + u * rows in its own bin) / rows, u uniform. While live rows and
reference rows are exchangeable, these p-values are independent and uniform, whatever the
distribution and however few the reference rows (Vovk, Gammerman, Shafer, Algorithmic Learning
in a Random World, 2nd ed., Theorem 11.1).

The random u matters. Betting on the mean over the bin instead keeps an expectation of one at
every fixed time, but the running product may exceed c more often than once in c: with rare
bins clearly so (`tests/monitors/stats/test_conformal.py` enumerates a case).
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Codes = NDArray[np.int16]
"""Bin numbers, shape (rows, streams); -1 where a row has nothing to say about a stream."""

SKIP = -1


def counted(codes: Codes, bins: int) -> NDArray[np.int64]:
    """How many rows fall into each bin of each stream, shape (streams, bins)."""
    streams = codes.shape[1]
    cells = codes.astype(np.int64) + 1 + np.arange(streams) * (bins + 1)
    flat = np.bincount(cells.ravel(), minlength=streams * (bins + 1))
    return flat.reshape(streams, bins + 1)[:, 1:]


class BinRanks:
    """Ranks each new row among the reference and all rows before it, stream by stream.

    `reference` holds counts, shape (streams, bins), of rows that did not choose the bins.
    """

    def __init__(self, reference: NDArray[np.int64]) -> None:
        self.counts = reference.astype(np.int64)

    def p_values(self, codes: Codes, uniforms: NDArray[np.float64]) -> NDArray[np.float64]:
        """The p-values of the rows, shape (rows, streams), NaN where skipped; takes the rows in.

        Time and memory grow with rows squared: hand over a few dozen rows at a time.
        """
        streams, bins = self.counts.shape
        present = codes != SKIP
        lower = np.cumsum(self.counts, axis=1) - self.counts
        at = (np.arange(streams), np.where(present, codes, 0))
        # A skipped row gets a bin above all others, where it is below and equal to none.
        mine = np.where(present, codes, bins).astype(np.int16)
        earlier = np.tri(len(codes), k=-1, dtype=np.bool_)[:, :, None]
        below = (lower[at] + ((mine[None] < mine[:, None]) & earlier).sum(axis=1)).astype(
            np.float64
        )
        equal = self.counts[at] + ((mine[None] == mine[:, None]) & earlier).sum(axis=1) + 1
        rows = self.counts.sum(axis=1) + np.cumsum(present, axis=0)
        self.counts += counted(codes, bins)
        return np.where(present, (below + uniforms * equal) / np.maximum(rows, 1), np.nan)
