"""Evidence that outcomes no longer come as often as their chances say.

H0: given all before and its score, the chance of the next outcome is within a margin of what was
said. A bet wins if outcomes come more often than chance + margin, or less often than chance -
margin: its stake is multiplied by 1 + f (outcome - u) / u, or by 1 + f (l - outcome) / (1 - l),
whose mean is at most one while H0 holds, f between 0 and 1. Bets are mixed over zones of the score,
and all zones together, both directions, some f, and starting blocks. (E-values for calibration:
Arnold, Henzi, Ziegel, Sequentially valid tests for forecast calibration, Annals of Applied
Statistics 2023; Henzi, Ziegel, Valid sequential inference on probability forecast performance,
Biometrika 2022.)
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from configs.settings import AlarmMode
from monitors.stats.martingale import StartMixture
from monitors.stats.row_blocks import BLOCK_ROWS, Counts, RowBlocks
from monitors.stats.starts import starts_in

Floats = NDArray[np.float64]

_FRACTIONS = np.array([0.02, 0.06, 0.18, 0.5])
_CHANGE_EVIDENCE = np.log(10.0)
_ROWS_AT_ONCE = 2000


class Miscalibration:
    """A fold over outcomes and their chances: how sure it is that they do not fit each other.

    Each row is in one of `zones`. Beside it come `tallies` whole numbers of the caller's, which are
    added up since the estimated change.
    """

    def __init__(
        self,
        zones: int,
        tallies: int,
        mode: AlarmMode = AlarmMode.MARTINGALE,
        block: int = BLOCK_ROWS,
    ) -> None:
        bets = (zones + 1) * 2 * len(_FRACTIONS)
        self._zones = zones
        self._mixture = StartMixture(1, np.full(bets, 1 / bets), starts_in(mode))
        self._blocks = RowBlocks(bets, tallies, block)

    def update(
        self,
        outcomes: Floats,
        chances: Floats,
        margins: Floats,
        zones: NDArray[np.intp],
        tallies: Counts,
        minute: int = 0,
    ) -> None:
        """Take in rows of a minute: outcomes 0 or 1, and the rest, (rows,); tallies (rows, n)."""
        self._mixture.starts.at(minute)
        for at in range(0, len(outcomes), _ROWS_AT_ONCE):
            some = slice(at, at + _ROWS_AT_ONCE)
            won = self._spread(log_gains(outcomes[some], chances[some], margins[some]), zones[some])
            sums = self._blocks.take(won, tallies[some])
            if len(sums):
                self._mixture.update(sums.T[None])

    def _spread(self, gains: Floats, zones: NDArray[np.intp]) -> Floats:
        """What the bets of each row's zone win, and those of all zones, (rows, bets)."""
        won = np.zeros((len(gains), self._zones + 1, gains.shape[1]))
        won[np.arange(len(gains)), zones] = gains
        won[:, -1] = gains
        return won.reshape(len(gains), -1)

    @property
    def tallied(self) -> Counts:
        """The sums of all tallies."""
        return self._blocks.tallied

    def log_wealth(self) -> float:
        """The natural logarithm of the evidence."""
        return float(self._mixture.log_wealth()[0])

    def since_change(self) -> Counts:
        """The sums of tallies since the estimated change; of all rows while there is none."""
        if self.log_wealth() < _CHANGE_EVIDENCE + self._mixture.starts.log_mean:
            return self.tallied
        return self._blocks.since(int(self._mixture.likely_starts()[0]))

    def state(self) -> dict[str, NDArray[Any]]:
        """All that must be remembered."""
        return {**self._mixture.state(), **self._blocks.state()}

    def restore(self, state: Mapping[str, NDArray[Any]]) -> None:
        """Go on from a state; `ValueError` where it is not one of chances like these."""
        self._mixture.restore(state)
        self._blocks.restore(state)


def log_gains(outcomes: Floats, chances: Floats, margins: Floats) -> Floats:
    """Logarithms of what bets win by each row, (rows, 2 x fractions): more often, then less."""
    came = (outcomes > 0.5)[:, None]
    upper = np.minimum(chances + margins, 1.0)[:, None]
    lower = np.maximum(chances - margins, 0.0)[:, None]
    lost = np.log1p(-_FRACTIONS)
    # Where nothing is too often, or too seldom, there is nothing to bet.
    more = np.where(came, np.log1p(_FRACTIONS * (1 - upper) / upper), lost) * (upper < 1)
    fewer = np.where(came, lost, np.log1p(_FRACTIONS * lower / (1 - lower))) * (lower > 0)
    return np.hstack([more, fewer])
