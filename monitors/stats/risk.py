"""Evidence that the mean of a bounded loss has risen above that of a reference.

H0: given all before, the mean of the next loss is at most the mean of the reference's losses.
Nothing is assumed about what losses look like, or that live ones are alike: inputs may shift as
they like while the mean stays or falls. That is the running risk of Podkopaev and Ramdas (Tracking
the risk of a deployed model and detecting harmful distribution shifts, ICLR 2022).

A bet multiplies its stake by 1 + f (loss - r) / r, f between 0 and 1: if the mean is at most r, the
mean of that is at most one (Waudby-Smith, Ramdas, Estimating means of bounded random variables by
betting, JRSS B 2024). What r is, the reference says only as well as its rows allow. So the numbers
from 0 to 1 are cut into cells, and the evidence is the least, over cells, of a product: how well
the reference refutes that its mean is as large as the lower end of the cell or larger, times how
well live rows refute that theirs is as small as the upper end or smaller. Wherever the true mean of
the reference lies, both factors of its cell are e-values, and so is their product, as the reference
was there before the bets. The least product is no larger: exactly, however few rows there are.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from configs.settings import AlarmMode
from monitors.stats.knots import KNOTS, on_knots
from monitors.stats.martingale import StartMixture
from monitors.stats.row_blocks import BLOCK_ROWS, Counts, RowBlocks
from monitors.stats.starts import starts_in

Floats = NDArray[np.float64]

_FRACTIONS = np.geomspace(0.01, 0.9, 8)
"""What bets may lose at most by one row."""

_DEVIATIONS = np.arange(-1.5, 8.01, 0.25)
"""Ends of cells, in standard deviations of the reference's mean from it; beyond, cells widen."""

_STAKES = np.geomspace(2.0, 100.0, 8)
_STAKE_MAX = 0.95
_STAY = 0.3
_RISK_MAX = 0.99
_CHANGE_EVIDENCE = np.log(10.0)
_ROWS_AT_ONCE = 2000


def mean_and_variance(reference: Floats) -> tuple[float, float]:
    """Those of losses on knots, (knots,): the mean is exact, the variance never too small."""
    rows = float(reference.sum())
    mean = float(reference @ KNOTS) / rows
    return mean, float(reference @ (KNOTS - mean) ** 2) / rows


def cell_ends(reference: Floats) -> Floats:
    """Rising numbers between 0 and 1 that lie dense where the mean of the reference may be."""
    rows = float(reference.sum())
    mean, variance = mean_and_variance(reference)
    # Where all losses were 0, the next may still be 1.
    deviation = float(np.sqrt(max(variance, 1 / rows) / rows))
    near = mean + deviation * _DEVIATIONS
    beyond = near[-1] + deviation * 2.0 ** np.arange(-1, 40)
    ends = np.clip(np.concatenate([near, beyond]), min(deviation / 10, _RISK_MAX), _RISK_MAX)
    distinct: Floats = np.unique(ends)
    return distinct


def against_larger(reference: Floats, risks: Floats) -> Floats:
    """Logarithms of e-values of losses on knots, (knots,), against means of `risks` or larger.

    Every loss multiplies a stake by 1 + s (risk - loss); s is mixed over the same few numbers for
    all risks, so that what refutes one refutes every larger one.
    """
    stakes = np.minimum(_STAKE_MAX, _STAKES / np.sqrt(reference.sum()))
    won = np.log1p(stakes[:, None, None] * (risks[None, :, None] - KNOTS)) @ reference
    staked = np.logaddexp.reduce(won, axis=0) + np.log((1 - _STAY) / len(stakes))
    return np.asarray(np.logaddexp(staked, np.log(_STAY)), dtype=np.float64)


class RisingRisk:
    """A fold over losses: how sure it is that their mean is above the reference's.

    `reference` (knots,) holds the reference's losses `on_knots`; there must be some. Beside each
    loss come `tallies` whole numbers of the caller's, which are added up since the estimated
    change. With starts that are worth one in all, the e-value exceeds 1/a ever with chance at
    most a while H0 holds.
    """

    def __init__(
        self,
        reference: Floats,
        tallies: int,
        mode: AlarmMode = AlarmMode.MARTINGALE,
        block: int = BLOCK_ROWS,
    ) -> None:
        uppers = cell_ends(reference)
        # Nothing is bet on the last cell, which reaches up to 1, as no loss is larger than that.
        self._log_reference = against_larger(reference, np.append(0.0, uppers))
        above = (KNOTS - uppers[:, None]) / uppers[:, None]
        self._gains = np.log1p(_FRACTIONS[None, :, None] * above[:, None, :])
        bets = np.full(len(_FRACTIONS), 1 / len(_FRACTIONS))
        self._mixture = StartMixture(len(uppers), bets, starts_in(mode))
        self._blocks = RowBlocks(len(KNOTS), tallies, block)

    def update(self, losses: Floats, tallies: Counts, minute: int = 0) -> None:
        """Take in losses in [0, 1] of a minute, (rows,), and their tallies, (rows, tallies)."""
        self._mixture.starts.at(minute)
        for at in range(0, len(losses), _ROWS_AT_ONCE):
            some = slice(at, at + _ROWS_AT_ONCE)
            sums = self._blocks.take(on_knots(losses[some]), tallies[some])
            if len(sums):
                # Linear in the sums: what running sums give is what each bet has won by then.
                self._mixture.update(self._gains @ sums.T)

    @property
    def tallied(self) -> Counts:
        """The sums of all tallies."""
        return self._blocks.tallied

    def log_wealth(self) -> float:
        """The natural logarithm of the evidence."""
        return float(min(self._by_cell().min(), self._log_reference[-1]))

    def _by_cell(self) -> Floats:
        return np.asarray(self._log_reference[:-1] + self._mixture.log_wealth(), dtype=np.float64)

    def since_change(self) -> Counts:
        """The sums of tallies since the estimated change; of all rows while there is none."""
        if self.log_wealth() < _CHANGE_EVIDENCE + self._mixture.starts.log_mean:
            return self.tallied
        return self._blocks.since(int(self._mixture.likely_starts()[self._by_cell().argmin()]))

    def state(self) -> dict[str, NDArray[Any]]:
        """All that must be remembered."""
        return {**self._mixture.state(), **self._blocks.state()}

    def restore(self, state: Mapping[str, NDArray[Any]]) -> None:
        """Go on from a state; `ValueError` where it is not one of a risk like this."""
        self._mixture.restore(state)
        self._blocks.restore(state)
