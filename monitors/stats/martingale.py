"""Wealth that does not need to know when the change came.

A bet may begin at any block, with a weight that `Starts` gives. What all beginnings together have
won needs one number per bet, R <- (R + weight) * e, kept as a logarithm. With weights that sum to
one, and beginnings that are yet to come counted as one each, the whole is a martingale with
expectation one; with weight one for each beginning it is the Shiryaev-Roberts statistic, whose
expectation is the number of beginnings. (Shin, Ramdas, Rinaldo, E-detectors, 2023.)
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from monitors.stats.starts import Starts

Floats = NDArray[np.float64]


class StartMixture:
    """The wealth of every bet of every stream, mixed over starting blocks.

    `weights` (bets,) sum to one: what a stream stakes on each of its bets.
    """

    def __init__(self, streams: int, weights: Floats, starts: Starts) -> None:
        shape = (streams, len(weights))
        self.blocks = 0
        self.starts = starts
        self._log_weights = np.log(weights)
        self._log_wealth = np.full(shape, -np.inf)
        self._best = np.full(shape, -np.inf)
        self._start = np.zeros(shape, dtype=np.int64)

    def update(self, won: Floats) -> None:
        """Take in some blocks: the logarithm of what each bet has won by the end of each of them.

        Shape (streams, bets, blocks): the running sums, from the first of these blocks on, of the
        logarithms of the blocks' e-values.
        """
        weights = self.starts.weights(won.shape[2])
        total = won[:, :, -1]
        if weights.any():
            self._begin(weights, won)
        else:
            self._log_wealth += total
            self._best += total
        self.blocks += won.shape[2]

    def _begin(self, weights: Floats, won: Floats) -> None:
        with np.errstate(divide="ignore"):
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

    def log_wealth(self) -> Floats:
        """The natural logarithm of each stream's evidence, shape (streams,)."""
        spent = np.logaddexp.reduce(self._log_wealth + self._log_weights, axis=1)
        return np.asarray(np.logaddexp(spent, self.starts.log_unspent))

    def likely_starts(self) -> NDArray[np.int64]:
        """The block at which the most successful bet of each stream began, shape (streams,)."""
        best = (self._best + self._log_weights).argmax(axis=1)
        starts: NDArray[np.int64] = self._start[np.arange(len(best)), best]
        return starts

    def state(self) -> dict[str, NDArray[Any]]:
        """All that must be remembered."""
        return {
            "blocks": np.array(self.blocks, dtype=np.int64),
            "spent": self.starts.spent,
            "log_wealth": self._log_wealth,
            "best": self._best,
            "start": self._start,
        }

    def restore(self, state: Mapping[str, NDArray[Any]]) -> None:
        """Go on from a state; `ValueError` where its shapes are not those of this mixture."""
        shapes = {state[name].shape for name in ("log_wealth", "best", "start")}
        if shapes != {self._log_wealth.shape}:
            message = f"bets of shape {self._log_wealth.shape}, not {shapes}"
            raise ValueError(message)
        self.blocks = int(state["blocks"])
        self.starts.resume(state["spent"])
        self._log_wealth = state["log_wealth"].copy()
        self._best = state["best"].copy()
        self._start = state["start"].astype(np.int64)
