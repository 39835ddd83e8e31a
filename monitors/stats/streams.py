"""Many streams of binned rows watched at once: conformal ranks, bets, and counts since a change."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from monitors.stats.checkpoints import Checkpoints, kept
from monitors.stats.conformal import BinRanks
from monitors.stats.martingale import StartMixture
from monitors.stats.running import ROWS_MAX, Codes, Running
from monitors.stats.starts import Starts
from monitors.stats.strata import RowStrata, WithinStrata
from monitors.stats.tilts import Tilts

BLOCK_ROWS = 10
"""Rows of one betting block. Rows are cut by their place in the stream, not by how they came,
so that the result does not depend on how the stream was split on its way."""

_ROWS_AT_ONCE = 250
_CELLS_AT_ONCE = 32_000
"""So many rows of so many streams are worked on together: few calls, and all in the cache."""

_CHANGE_EVIDENCE = np.log(10.0)


def rows_at_once(streams: int) -> int:
    """How many rows of so many streams to work on together; any other number gives the same."""
    return min(max(_ROWS_AT_ONCE, _CELLS_AT_ONCE // max(streams, 1)), ROWS_MAX)


class Streams:
    """A fold over rows of bin numbers; evidence and counts per stream come out.

    `reference` (streams, bins) holds the counts of the reference rows that did not choose the
    bins. `within` has rows ranked within their strata. Under no change, and with starts that are
    worth one in all, each stream's e-value exceeds 1/a ever with chance at most a.
    """

    def __init__(
        self,
        reference: NDArray[np.int64],
        tilts: Tilts,
        starts: Starts,
        within: WithinStrata | None = None,
    ) -> None:
        streams = len(reference)
        self.reference = reference.astype(np.int64)
        self._ranks = BinRanks(reference)
        self._within = within
        self._tilts = tilts
        self._mixture = StartMixture(streams, tilts.weights, starts)
        self._history = Checkpoints(np.zeros_like(self.reference))
        self._partial = np.zeros((streams, tilts.coefficients.shape[2]))
        self._filled = 0

    def update(self, codes: Codes, uniforms: NDArray[np.float64], minute: int = 0) -> None:
        """Take in rows of a minute, both arrays of shape (streams, rows)."""
        self.update_within(None, codes, uniforms, minute)

    def update_within(
        self,
        strata: RowStrata | None,
        codes: Codes,
        uniforms: NDArray[np.float64],
        minute: int = 0,
    ) -> None:
        """The same of rows of these strata, (rows,), within which they are ranked."""
        self._mixture.starts.at(minute)
        step = rows_at_once(len(codes))
        for at in range(0, codes.shape[1], step):
            rows = slice(at, at + step)
            those = None if strata is None else strata[rows]
            self._take(codes[:, rows], uniforms[:, rows], those)

    def _take(self, codes: Codes, uniforms: NDArray[np.float64], strata: RowStrata | None) -> None:
        before = self.counts
        running = Running(codes, before.shape[1])
        p_values = self._p_values(running, uniforms, strata)
        rows = codes.shape[1]
        ends = range(BLOCK_ROWS - self._filled, rows + 1, BLOCK_ROWS)
        starts = [0, *(end for end in ends if end < rows)]
        sums = self._tilts.sums(p_values, np.array(starts))
        sums[:, :, 0] += self._partial
        self._filled = (self._filled + rows) % BLOCK_ROWS
        self._partial = sums[:, :, -1].copy() if self._filled else np.zeros_like(self._partial)
        first = self._mixture.blocks + 1
        if ends:
            # Linear in the sums: what running sums give is what each bet has won by then.
            won = self._tilts.log_e_values(np.cumsum(sums[:, :, : len(ends)], axis=2))
            self._mixture.update(won)
        now = self._mixture.blocks
        self._history.forget(now)
        held = {block: end for block, end in enumerate(ends, start=first) if kept(block, now)}
        for block, counts in zip(held, running.counts(list(held.values())), strict=True):
            self._history.add(block, before + counts)
        if self._within is not None and strata is not None:
            self._within.count(codes, strata, held, now)

    def _p_values(
        self, running: Running, uniforms: NDArray[np.float64], strata: RowStrata | None
    ) -> NDArray[np.float64]:
        if self._within is None or strata is None:
            return self._ranks.p_values(running, uniforms)
        self._ranks.take(running)
        return self._within.p_values(running, strata, uniforms)

    @property
    def counts(self) -> NDArray[np.int64]:
        """Counts of live rows, shape (streams, bins)."""
        return self._ranks.counts - self.reference

    def log_wealth(self) -> NDArray[np.float64]:
        """The natural logarithm of each stream's evidence, shape (streams,)."""
        return self._mixture.log_wealth()

    def counts_since_change(self) -> NDArray[np.int64]:
        """Counts of live rows since each stream's estimated change, shape (streams, bins).

        While a stream's evidence is less than ten times its mean under no change, no change is
        estimated, and all rows count.
        """
        return self._since_change(self.counts, self._history)

    def strata_rows(self) -> NDArray[np.int64]:
        """Live rows of each stratum, shape (streams, strata); none without strata."""
        if self._within is None:
            return np.zeros((len(self.reference), 0), dtype=np.int64)
        # One row of counts may stand for all streams; each has its own from here on.
        return np.repeat(self._within.rows, len(self.reference) // len(self._within.rows), axis=0)

    def strata_since_change(self) -> NDArray[np.int64]:
        """The same since each stream's estimated change."""
        if self._within is None:
            return self.strata_rows()
        return self._since_change(self.strata_rows(), self._within.history)

    def strata_counts(self) -> NDArray[np.int64]:
        """Counts of live rows, shape (streams, strata, bins); no strata without any."""
        if self._within is None:
            return np.zeros((len(self.reference), 0, self.reference.shape[1]), dtype=np.int64)
        return self._within.live

    def _since_change(self, since: NDArray[np.int64], history: Checkpoints) -> NDArray[np.int64]:
        """Counts of all rows, less those before each stream's estimated change."""
        changed = self.log_wealth() >= _CHANGE_EVIDENCE + self._mixture.starts.log_mean
        starts = np.where(changed, self._mixture.likely_starts(), 0)
        for start in np.unique(starts).tolist():
            here = starts == start
            since[here] -= np.broadcast_to(history.nearest(start), since.shape)[here]
        return since

    def state(self) -> dict[str, NDArray[Any]]:
        """All that must be remembered."""
        return {
            **self._mixture.state(),
            **self._history.state(),
            **(self._within.state() if self._within else {}),
            "counts": self._ranks.counts,
            "partial": self._partial,
            "filled": np.array(self._filled, dtype=np.int64),
        }

    def restore(self, state: Mapping[str, NDArray[Any]]) -> None:
        """Go on from a state; `ValueError` where it is not one of streams like these."""
        for name, own in (("counts", self._ranks.counts), ("partial", self._partial)):
            if state[name].shape != own.shape:
                message = f"{name} of shape {own.shape}, not {state[name].shape}"
                raise ValueError(message)
        self._mixture.restore(state)
        self._history.restore(state)
        if self._within:
            self._within.restore(state)
        self._ranks.counts = state["counts"].astype(np.int64)
        self._partial = state["partial"].copy()
        self._filled = int(state["filled"])
