"""Many streams of binned rows watched at once: conformal ranks, bets, and counts since a change."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from monitors.stats.checkpoints import Checkpoints, kept
from monitors.stats.conformal import BinRanks, Codes, counted
from monitors.stats.martingale import StartMixture
from monitors.stats.tilts import Tilts

BLOCK_ROWS = 10
"""Rows of one betting block. Rows are cut by their place in the stream, not by how they came,
so that the result does not depend on how the stream was split on its way."""

_CHANGE_EVIDENCE = np.log(10.0)


class Streams:
    """A fold over rows of bin numbers; evidence and counts per stream come out.

    `reference` (streams, bins) holds the counts of the reference rows that did not choose the
    bins. Under no change, each stream's e-value exceeds 1/a ever with chance at most a.
    """

    def __init__(self, reference: NDArray[np.int64], tilts: Tilts) -> None:
        streams = len(reference)
        self.reference = reference.astype(np.int64)
        self.counts = np.zeros_like(self.reference)
        self._ranks = BinRanks(reference)
        self._tilts = tilts
        self._mixture = StartMixture(streams, tilts.weights)
        self._history = Checkpoints(self.counts)
        self._partial = np.zeros((streams, tilts.coefficients.shape[1]))
        self._filled = 0
        # Any size gives the same result; this one keeps the pairwise comparisons cheap.
        self._step = BLOCK_ROWS * max(6, min(20, 200 // max(streams, 1)))

    def update(self, codes: Codes, uniforms: NDArray[np.float64]) -> None:
        """Take in rows, both arguments of shape (rows, streams)."""
        for at in range(0, len(codes), self._step):
            self._take(codes[at : at + self._step], uniforms[at : at + self._step])

    def _take(self, codes: Codes, uniforms: NDArray[np.float64]) -> None:
        statistics = self._tilts.statistics(self._ranks.p_values(codes, uniforms))
        ends = np.arange(BLOCK_ROWS - self._filled, len(codes) + 1, BLOCK_ROWS)
        sums = np.add.reduceat(statistics, np.r_[0, ends[ends < len(codes)]], axis=0)
        sums[0] += self._partial
        self._filled = (self._filled + len(codes)) % BLOCK_ROWS
        self._partial = sums[-1] if self._filled else np.zeros_like(self._partial)
        first = self._mixture.blocks
        if len(ends):
            self._mixture.update(self._tilts.log_e_values(sums[: len(ends)]))
        bins = self.counts.shape[1]
        for number, end in enumerate(ends, start=first + 1):
            if kept(number, self._mixture.blocks):
                self._history.add(number, self.counts + counted(codes[:end], bins))
        self.counts = self.counts + counted(codes, bins)

    def log_wealth(self) -> NDArray[np.float64]:
        """The natural logarithm of each stream's e-value, shape (streams,)."""
        return self._mixture.log_wealth()

    def counts_since_change(self) -> NDArray[np.int64]:
        """Counts of live rows since each stream's estimated change, shape (streams, bins).

        While a stream's e-value is below ten no change is estimated, and all rows count.
        """
        changed = self.log_wealth() >= _CHANGE_EVIDENCE
        starts = np.where(changed, self._mixture.likely_starts(), 0)
        before = [self._history.nearest(int(start))[at] for at, start in enumerate(starts)]
        return np.asarray(self.counts - np.array(before), dtype=np.int64)
