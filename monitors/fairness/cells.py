"""Rows counted by group, and by when a bet on them may have begun."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.special import logsumexp

from monitors.fairness.measures import Units
from monitors.profile.reference import TOP_GROUPS
from monitors.signal import from_words, packed, unpacked, words
from monitors.stats.hourly_starts import FIRST, HourlyStarts, log_yet_to_begin, start_weight

Counts = NDArray[np.int64]
Floats = NDArray[np.float64]

UNKNOWN = "unknown"
OTHER = "other"

CELLS = TOP_GROUPS + 2
"""The groups that have names, rows of no known group, and all other groups together."""

NOW, BET = 0, 1
"""Rows as their labels stand now, and rows as they came first, which is what bets were made on."""


class Since(NamedTuple):
    """Counts since each time from which a bet counts, the first time being the beginning.

    `own` and `others` have the shape (times, 2, cells, shares, 2): now or bet on, and last amount
    and rows. `others` are of all known groups but the cell's own. `log_weights` (times, cells) are
    -inf where there is no such bet.
    """

    own: Counts
    others: Counts
    log_weights: Floats


class Cells:
    """A fold over rows of groups: the groups of one attribute, or of several at once.

    `named` groups have a cell each from the beginning, up to 32; those that are met later take what
    is left; the rest are `other`, and rows of no known group `unknown`.
    """

    def __init__(self, named: Sequence[str], shares: int) -> None:
        self.names = {UNKNOWN: 0, OTHER: 1}
        for name in named:
            if len(self.names) < CELLS:
                self.names.setdefault(name, len(self.names))
        self.counts = np.zeros((2, CELLS, shares, 2), dtype=np.int64)
        self._starts = HourlyStarts(self.counts.shape)
        # Cells that were armed anew: the number of the hour then, and the counts of all cells.
        self._armed: dict[int, tuple[int, Counts]] = {}

    def take(
        self,
        hour: int,
        values: Iterable[str | None],
        units: Units,
        signs: NDArray[np.int64],
        bet_on: NDArray[np.bool_],
    ) -> None:
        """Take in rows of an hour since 1970 by their group, None where it is not known.

        `signs` are 1, or -1 for rows that are taken back; only some are `bet_on`.
        """
        counted = units.part >= 0
        if not counted.any():
            return
        self._starts.at(hour, self.counts)
        codes = np.array(
            [
                self._code(value)
                for value, some in zip(values, counted.tolist(), strict=True)
                if some
            ],
            dtype=np.intp,
        )
        shares = self.counts.shape[2]
        at = codes * shares + units.part[counted]
        amounts, size = units.amount[counted], CELLS * shares
        for kind, weights in ((NOW, signs), (BET, bet_on.astype(np.int64))):
            of_rows = weights[counted]
            for column, weighed in ((0, of_rows * amounts), (1, of_rows)):
                # Sums of whole numbers below 2^53 are exact as floats.
                sums = np.bincount(at, weighed, minlength=size).astype(np.int64)
                self.counts[kind, :, :, column] += sums.reshape(CELLS, shares)

    def _code(self, value: str | None) -> int:
        if value is None:
            return 0
        code = self.names.get(value)
        if code is None:
            if len(self.names) >= CELLS:
                return 1
            code = self.names[value] = len(self.names)
        return code

    @property
    def rows(self) -> dict[str, int]:
        """The rows of each group that was met; of several shares those of the smaller one."""
        rows = np.maximum(self.counts[NOW, :, :, 1], 0)
        met: NDArray[np.bool_] = np.asarray(
            (rows > 0).any(axis=1) | (self.counts[BET, :, :, 1] > 0).any(axis=1)
        )
        return {name: int(rows[at].min()) for name, at in self.names.items() if met[at]}

    def since(self) -> Since:
        """What was counted since each time from which a bet counts."""
        numbers, held = self._starts.later()
        begin = np.zeros_like(self.counts)
        begin_others = np.zeros_like(self.counts)
        log_weights = np.full((len(numbers) + 1, CELLS), np.log(FIRST))
        weights = np.array([start_weight(number) for number in numbers.tolist()])
        log_weights[1:] = np.log(weights)[:, None]
        for cell, (number, counts) in self._armed.items():
            begin[:, cell] = counts[:, cell]
            begin_others[:, cell] = others_of(counts)[:, cell]
            log_weights[1:, cell][numbers <= number] = -np.inf
        own = self.counts - np.concatenate([begin[None], held])
        others = others_of(self.counts) - np.concatenate([begin_others[None], others_of(held)])
        return Since(own, others, log_weights)

    def at_times(self, cell: int) -> Counts:
        """The counts of all cells since each time from which a bet on one counts."""
        _, held = self._starts.later()
        _, begin = self._armed.get(cell, (0, np.zeros_like(self.counts)))
        return np.asarray(self.counts - np.concatenate([begin[None], held]))

    def mixed(self, log_each: Floats) -> Floats:
        """The evidence of bets of all times together, from (times, cells) to (cells,).

        Bets that are yet to begin count one each.
        """
        left = np.full((1, log_each.shape[1]), log_yet_to_begin(self._starts.number))
        return np.asarray(logsumexp(np.concatenate([log_each, left]), axis=0))

    def rearm(self, cells: Iterable[int]) -> None:
        """Begin anew with some cells."""
        for cell in cells:
            self._armed[cell] = (self._starts.number, self.counts.copy())

    def state(self) -> Mapping[str, NDArray[Any]]:
        """All that must be remembered."""
        armed = sorted(self._armed)
        shape = (len(armed), *self.counts.shape)
        own: dict[str, NDArray[Any]] = {
            "names": words(list(self.names)),
            "counts": self.counts,
            "armed": np.array([[at, self._armed[at][0]] for at in armed], np.int64).reshape(-1, 2),
            "armed_at": np.array([self._armed[at][1] for at in armed], np.int64).reshape(shape),
        }
        return packed({"own": own, "starts": self._starts.state()})

    def restore(self, state: Mapping[str, NDArray[Any]]) -> None:
        """Go on from a state; `ValueError` where it is one of another measure."""
        own = unpacked(state, "own")
        if own["counts"].shape != self.counts.shape:
            message = f"counts of shape {self.counts.shape}, not {own['counts'].shape}"
            raise ValueError(message)
        self._starts.restore(unpacked(state, "starts"))
        self.names = {name: at for at, name in enumerate(from_words(own["names"]))}
        self.counts = own["counts"].astype(np.int64)
        self._armed = {
            at: (number, counts.astype(np.int64))
            for (at, number), counts in zip(own["armed"].tolist(), own["armed_at"], strict=True)
        }


def others_of(counts: NDArray[Any]) -> NDArray[Any]:
    """The counts of all known groups but each cell's own; cells are the third last dimension."""
    known = counts.copy()
    known[..., 0, :, :] = 0
    return np.asarray(known.sum(axis=-3, keepdims=True) - known)
