"""Ranks within strata: rows are compared with rows of the same hour or segment alone.

A row's p-value is its randomised rank among the rows of its own stratum, itself included
(`monitors.stats.conformal`). While live rows and reference rows are exchangeable within each
stratum, these p-values are independent and uniform, however rows of different strata follow one
another: the Mondrian conformal predictor (Vovk, Gammerman, Shafer, Algorithmic Learning in a Random
World). Given the order in which strata come, the rows of each are a sequence of its own. So one
martingale goes on over all strata.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from monitors.stats.checkpoints import Checkpoints
from monitors.stats.running import SKIP, Codes, Running, counted

RowStrata = NDArray[np.int16]
"""The stratum of each row, shape (rows,), from 0 on."""

STRATUM_ROWS_MIN = 20
"""Rows of a stratum below which it has too few to be compared with."""


class WithinStrata:
    """What streams know of their strata: ranks within each, and the live rows of each.

    `reference` (strata, streams, bins) holds counts of rows that did not choose the bins; a stratum
    without any ranks its live rows among themselves. `together` says that all streams skip the same
    rows, so that rows are counted once for all. `rows` holds the live rows of each stratum, shape
    (streams, strata), or (1, strata) for all streams alike.
    """

    def __init__(self, reference: NDArray[np.int64], together: bool) -> None:
        self._strata, streams, _ = reference.shape
        self._reference = reference
        self._counts = reference.astype(np.int64)
        self._counting = slice(0, 1) if together else slice(0, streams)
        self.rows = np.zeros((1 if together else streams, self._strata), dtype=np.int64)
        self.history = Checkpoints(np.zeros_like(self.rows))

    def p_values(
        self, running: Running, strata: RowStrata, uniforms: NDArray[np.float64]
    ) -> NDArray[np.float64]:
        """The p-values of rows, shape (streams, rows), NaN where skipped; takes the rows in."""
        if (strata == strata[0]).all():
            return self._ranked(running, strata[:1], uniforms)
        # Side by side, the rows of a stratum are counted in one go with those of all others.
        order = np.argsort(strata, kind="stable")
        p_values = np.empty(uniforms.shape)
        those = Running(running.codes[:, order], running.bins)
        p_values[:, order] = self._ranked(those, strata[order], uniforms[:, order])
        return p_values

    def _ranked(
        self, rows: Running, strata: RowStrata, uniforms: NDArray[np.float64]
    ) -> NDArray[np.float64]:
        """The p-values of rows in the order of their strata; one stratum may stand for all rows."""
        streams, count = rows.codes.shape
        present, first, place = np.unique(strata, return_index=True, return_inverse=True)
        ends = rows.counts([*first[1:].tolist(), count])
        begins = np.concatenate([np.zeros_like(ends[:1]), ends[:-1]])
        # What all rows so far have in lower bins, less those of other strata, is what is asked.
        lower = np.zeros((len(present), streams, rows.bins + 1))
        np.cumsum(self._counts[present] - begins, axis=2, out=lower[:, :, 1:])
        own = rows.codes + np.arange(0, lower[0].size, rows.bins + 1)[:, None]
        own = own + place * lower[0].size
        # Skipped rows look up a neighbour's count; their p-values are thrown away.
        below = lower.reshape(-1).take(own) + rows.below()
        equal = lower.reshape(-1).take(own + 1) + rows.up_to() - below
        ranked = below + uniforms * equal
        ranked /= np.maximum(lower[place, :, -1].T + rows.present(), 1)
        ranked[rows.codes == SKIP] = np.nan
        self._counts[present] += ends - begins
        return np.asarray(ranked)

    def count(self, codes: Codes, strata: RowStrata, held: Mapping[int, int], now: int) -> None:
        """Count rows by their strata, and remember the counts at some blocks.

        `held` gives the blocks, in order, each with the number of rows before its end; `now` is
        the last block.
        """
        codes = codes[self._counting]
        of_rows = np.where(codes == SKIP, np.int16(SKIP), strata)
        self.history.forget(now)
        done = 0
        for block, end in held.items():
            self.rows = self.rows + counted(of_rows[:, done:end], self._strata)
            self.history.add(block, self.rows)
            done = end
        self.rows = self.rows + counted(of_rows[:, done:], self._strata)

    @property
    def live(self) -> NDArray[np.int64]:
        """Counts of live rows, shape (streams, strata, bins)."""
        return (self._counts - self._reference).transpose(1, 0, 2)

    def state(self) -> dict[str, NDArray[Any]]:
        """All that must be remembered."""
        past = {f"strata_{name}": array for name, array in self.history.state().items()}
        return {**past, "strata_rows": self.rows, "strata_counts": self.live}

    def restore(self, state: Mapping[str, NDArray[Any]]) -> None:
        """Go on from a state; `ValueError` where it is not one of strata like these."""
        for name, shape in (
            ("strata_rows", self.rows.shape),
            ("strata_counts", self._reference.transpose(1, 0, 2).shape),
        ):
            if state[name].shape != shape:
                message = f"{name} of shape {shape}, not {state[name].shape}"
                raise ValueError(message)
        self.history.restore({"at": state["strata_at"], "held": state["strata_held"]})
        self.rows = state["strata_rows"].astype(np.int64)
        self._counts = self._reference + state["strata_counts"].transpose(1, 0, 2)


class LikeWithLike:
    """What the reference holds once its rows are weighted to the live rows' mix of strata.

    `whole` (streams, bins) counts all rows of the reference, `by_stratum` (strata, streams, bins)
    those whose stratum is known. The difference of means from such a reference is the difference
    within strata, averaged over live rows.

    A stratum of which the reference has too few rows is helped out by all of its own live rows, so
    that what changed there is understated; the whole reference stands for one that is rare in both.
    """

    def __init__(self, whole: NDArray[np.int64], by_stratum: NDArray[np.int64]) -> None:
        self._whole = whole
        self._by_stratum = by_stratum.transpose(1, 0, 2)
        self._rows = self._by_stratum.sum(axis=2)
        self._lacking = self._rows < STRATUM_ROWS_MIN
        self.lacks = bool(self._lacking.any())

    def reference(
        self, mix: NDArray[np.int64], live: NDArray[np.int64] | None = None
    ) -> NDArray[np.float64]:
        """Counts (streams, bins), from live rows by stratum, (streams, strata).

        `live` (streams, strata, bins) counts all live rows, if the reference `lacks` any stratum.
        The sum is the number of rows that say as much when each weighs the same: one over the sum
        of the squares of the weights (Kish, Survey Sampling, 1965).
        """
        counts = self._by_stratum
        if live is not None:
            counts = counts + np.where(self._lacking[:, :, None], live, 0)
        rows = counts.sum(axis=2)
        shares = mix / np.maximum(mix.sum(axis=1, keepdims=True), 1)
        shares = np.where(rows >= STRATUM_ROWS_MIN, shares, 0.0)
        per_row = shares / np.maximum(rows, 1)
        all_rows = self._whole.sum(axis=1)
        # Each row of the reference weighs so much for all other strata; never below 0 but by
        # rounding.
        base = np.maximum(1 - shares.sum(axis=1), 0.0) / np.maximum(all_rows, 1)
        sums = np.einsum("ts,tsb->tb", per_row, counts) + base[:, None] * self._whole
        # A row of the reference may weigh both for its own stratum and for the others.
        squares = (per_row * shares).sum(axis=1) + base**2 * all_rows
        squares += 2 * base * (per_row * self._rows).sum(axis=1)
        return np.asarray(sums / np.where(squares > 0, squares, 1.0)[:, None])
