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

from monitors.stats.running import SKIP, Running


class BinRanks:
    """Ranks each new row among the reference and all rows before it, stream by stream.

    `reference` holds counts, shape (streams, bins), of rows that did not choose the bins.
    """

    def __init__(self, reference: NDArray[np.int64]) -> None:
        self.counts = reference.astype(np.int64)

    def p_values(self, rows: Running, uniforms: NDArray[np.float64]) -> NDArray[np.float64]:
        """The p-values of the rows, shape (streams, rows), NaN where skipped; takes the rows in."""
        streams, bins = self.counts.shape
        lower = np.zeros((streams, bins + 1))
        np.cumsum(self.counts, axis=1, out=lower[:, 1:])
        among = np.zeros((streams, bins + 1))
        among[:, :-1] = self.counts
        # Skipped rows look up a neighbour's count; their p-values are thrown away.
        own = rows.codes + np.arange(0, lower.size, bins + 1)[:, None]
        running = rows.below()
        below = lower.reshape(-1).take(own)
        below += running
        p_values = among.reshape(-1).take(own)
        p_values += np.subtract(rows.up_to(), running, out=running)
        p_values *= uniforms
        p_values += below
        p_values /= np.maximum(lower[:, -1:] + rows.present(), 1)
        p_values[rows.codes == SKIP] = np.nan
        self.take(rows)
        return p_values

    def take(self, rows: Running) -> None:
        """Take rows in without ranking them."""
        self.counts += rows.counts([rows.codes.shape[1]])[0]
