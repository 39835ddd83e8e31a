"""Evidence that the share of an event is above a bound, where there is no reference for it.

A bet multiplies its stake by q / b for each event and by (1 - q) / (1 - b) for each other unit,
where b is the bound and q > b: if the chance of an event, given all before, is never above b, the
mean of that is at most one, and the wealth a supermartingale. (Betting on a bounded mean:
Waudby-Smith, Ramdas, Estimating means of bounded random variables by betting, 2024.)

What comes at once is taken as if its events had come first. A bet that begins among it then meets
no more of them than it may have, so that its wealth is never overstated; that the last units make
no block yet must not hide that they were no events, so they count whenever somebody asks.
"""

from __future__ import annotations

from collections.abc import Mapping
from copy import deepcopy
from typing import Any

import numpy as np
from numpy.typing import NDArray

from configs.settings import AlarmMode
from monitors.stats.checkpoints import Checkpoints, kept
from monitors.stats.martingale import StartMixture
from monitors.stats.starts import starts_in

BLOCK_UNITS = 50
_TIMES = np.array([1.5, 3.0, 10.0, 40.0])
_CHANGE_EVIDENCE = np.log(10.0)


class BoundedShare:
    """A fold over counts of events and others: how sure it is that their share is above `most`.

    `most` is below 1/40. A bet may begin at every block of some units.
    """

    def __init__(
        self, most: float, mode: AlarmMode = AlarmMode.MARTINGALE, block: int = BLOCK_UNITS
    ) -> None:
        self._block = block
        self._gains = np.stack([np.log1p(-most * _TIMES) - np.log1p(-most), np.log(_TIMES)])
        self._mixture = StartMixture(1, np.full(len(_TIMES), 1 / len(_TIMES)), starts_in(mode))
        self._history = Checkpoints(np.zeros(2, dtype=np.int64))
        self.counts = np.zeros(2, dtype=np.int64)

    def update(self, events: int, others: int, minute: int = 0) -> None:
        """Take in what came at once."""
        self._mixture.starts.at(minute)
        before = self.counts
        self.counts = before + np.array([others, events])
        first = self._block - int(before.sum()) % self._block
        ends = np.arange(first, events + others + 1, self._block)
        if not len(ends):
            return
        met = np.minimum(ends, events)
        at_ends = before + np.stack([ends - met, met], axis=1)
        self._mixture.update(self._won(at_ends))
        now = self._mixture.blocks
        self._history.forget(now)
        for block, counts in enumerate(at_ends, start=now - len(ends) + 1):
            if kept(block, now):
                self._history.add(block, counts)

    def log_wealth(self) -> float:
        """The natural logarithm of the evidence."""
        mixture = deepcopy(self._mixture)
        mixture.update(self._won(self.counts[None]))
        return float(mixture.log_wealth()[0])

    def _won(self, at_ends: NDArray[np.int64]) -> NDArray[np.float64]:
        """What bets have won by some counts, (ends, 2), since the end of the last block."""
        ended = self._history.nearest(self._mixture.blocks)
        return np.asarray(((at_ends - ended) @ self._gains).T[None], dtype=np.float64)

    def counts_since_change(self) -> NDArray[np.int64]:
        """Others and events since the estimated change; all of them while there is none."""
        if self.log_wealth() < _CHANGE_EVIDENCE + self._mixture.starts.log_mean:
            return self.counts
        return self.counts - self._history.nearest(int(self._mixture.likely_starts()[0]))

    def state(self) -> dict[str, NDArray[Any]]:
        """All that must be remembered."""
        return {**self._mixture.state(), **self._history.state(), "counts": self.counts}

    def restore(self, state: Mapping[str, NDArray[Any]]) -> None:
        """Go on from a state; `ValueError` where it is not one of a share like this."""
        self._mixture.restore(dict(state))
        self._history.restore(dict(state))
        self.counts = state["counts"].astype(np.int64)
