"""A test martingale that does not need to know when the change came.

A bet may begin at any block k, with weight proportional to 1 / ((k + 2) ln(k + 2)^2). What all
beginnings together have won needs one number per bet, R <- (R + weight) * e, kept as a
logarithm. Beginnings that are yet to come count as one each, so the weights sum to one and the
whole is a martingale with expectation one. (Mixture over starting times: Shin, Ramdas,
Rinaldo, E-detectors, 2023; weights after Robbins and Siegmund.)
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]

# The sum of 1/((k+2) ln(k+2)^2) over k >= 0 is 2.10974...; dividing by a little more keeps the
# sum of the weights just below one.
_SCALE = 2.1098


def start_weights(first: int, count: int) -> Floats:
    """The weights of the starting blocks first, first + 1, ...; all of them sum to at most one."""
    k = np.arange(first, first + count, dtype=np.float64) + 2
    weights: Floats = 1 / (k * np.log(k) ** 2) / _SCALE
    return weights


class StartMixture:
    """The wealth of every bet of every stream, mixed over starting blocks.

    `weights` (bets,) sum to one: what a stream stakes on each of its bets.
    """

    def __init__(self, streams: int, weights: Floats) -> None:
        shape = (streams, len(weights))
        self.blocks = 0
        self._log_weights = np.log(weights)
        self._log_wealth = np.full(shape, -np.inf)
        self._best = np.full(shape, -np.inf)
        self._start = np.zeros(shape, dtype=np.int64)
        self._unspent = 1.0

    def update(self, won: Floats) -> None:
        """Take in some blocks: the logarithm of what each bet has won by the end of each of them.

        Shape (streams, bets, blocks): the running sums, from the first of these blocks on, of the
        logarithms of the blocks' e-values.
        """
        weights = start_weights(self.blocks, won.shape[2])
        log_starts = np.log(weights)
        total = won[:, :, -1]
        # A bet that begins at a block has yet to win `total` less what was won before it.
        entries = np.empty_like(won)
        entries[:, :, 0] = log_starts[0]
        np.subtract(log_starts[1:], won[:, :, :-1], out=entries[:, :, 1:])
        newest = entries.argmax(axis=2)
        best_entry = np.take_along_axis(entries, newest[:, :, None], axis=2)[:, :, 0]
        highest = np.maximum(best_entry, self._log_wealth)
        entries -= highest[:, :, None]
        joined = np.exp(entries, out=entries).sum(axis=2) + np.exp(self._log_wealth - highest)
        self._log_wealth = total + highest + np.log(joined)
        better = best_entry > self._best
        self._start = np.where(better, self.blocks + newest, self._start)
        self._best = total + np.where(better, best_entry, self._best)
        self._unspent -= float(weights.sum())
        self.blocks += won.shape[2]

    def log_wealth(self) -> Floats:
        """The natural logarithm of each stream's e-value, shape (streams,); 0 at the beginning."""
        spent = np.logaddexp.reduce(self._log_wealth + self._log_weights, axis=1)
        return np.asarray(np.logaddexp(spent, np.log(max(self._unspent, 1e-300))))

    def likely_starts(self) -> NDArray[np.int64]:
        """The block at which the most successful bet of each stream began, shape (streams,)."""
        best = (self._best + self._log_weights).argmax(axis=1)
        starts: NDArray[np.int64] = self._start[np.arange(len(best)), best]
        return starts
