"""Many shares watched at once: blocks of units are ranked by how many events they hold.

Given all units so far, those of the reference and the block's own among them, a block is a random
part of them while nothing changes, so its number of events is hypergeometric. Its tail, made
uniform by a random number, is the p-value of a conformal test whose unit is a block: p-values of
blocks are independent and uniform, however rare the events and however few the units of the
reference (Vovk, Gammerman, Shafer, Algorithmic Learning in a Random World, 2nd ed., Theorem 11.1).
A unit that has nothing to say about a share is left out of its blocks.

One p-value a block costs much less than one a row, and no event has to be ranked.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtri

from configs.settings import AlarmMode
from monitors.stats.checkpoints import kept
from monitors.stats.hypergeometric import tails
from monitors.stats.named import STREAMS_AT_ONCE, Held, NamedStreams
from monitors.stats.running import Codes
from monitors.stats.starts import Starts, starts_in
from monitors.stats.streams import Streams
from monitors.stats.tilts import Tilts
from monitors.stats.uniforms import row_uniforms

Floats = NDArray[np.float64]
Mask = NDArray[np.bool_]

BLOCK_UNITS = 50
"""Units of a block; a block may have 255 at most."""

_CELLS_AT_ONCE = 4_000
"""So many blocks of as many shares are ranked together: few calls, and all in the cache."""

SHIFTS = np.array([-2.0, -0.7, -0.25, 0.25, 0.7, 2.0])
STAKES = np.array([0.03, 0.2])
POWER = 0.08


def count_tilts() -> Tilts:
    """Bets on upper tails of counts, each uniform on [0, 1] and small where events are many.

    Shifts: exp(t z - t^2/2) of the tail's normal score z. Stakes: a part of the wealth is put on
    the density k s^(k-1), which is high where the tail s is tiny, as it is for an event that was
    rare; all are densities, and so have mean one.
    """
    zeros = np.zeros_like(SHIFTS)
    shifts = np.stack([-(SHIFTS**2) / 2, SHIFTS, zeros, zeros], axis=1)
    stakes = np.eye(4)[2:]
    bets = len(SHIFTS) + len(STAKES)
    return Tilts(_surprise_sums, np.vstack([shifts, stakes])[None], np.full(bets, 1 / bets))


def _surprise_sums(uppers: Floats, starts: NDArray[np.intp]) -> Floats:
    """Blocks, their normal scores, and the logarithms of what each stake has won."""
    seen = ~np.isnan(uppers)
    safe = np.where(seen, uppers, 0.5).clip(1e-300, 1 - 1e-16)
    high = POWER * np.exp((POWER - 1) * np.log(safe)) - 1
    won = (np.log1p(stake * high) for stake in STAKES)
    sums = np.empty((len(uppers), 4, len(starts)))
    for at, each in enumerate((np.ones_like(safe), -ndtri(safe), *won)):
        np.add.reduceat(each * seen, starts, axis=1, out=sums[:, at])
    return sums


class Shares(Streams):
    """A fold over blocks of units, each told by how many of them are no event, and how many are.

    `reference` (shares, 2) holds the same two counts of the reference's units.
    """

    def __init__(self, reference: NDArray[np.int64], starts: Starts) -> None:
        super().__init__(reference, count_tilts(), starts)

    def update(self, codes: Codes, uniforms: Floats, minute: int = 0) -> None:
        """Take in blocks of a minute: counts (shares, blocks, 2), uniform numbers (shares, blocks).

        Shares without a unit in a block have nothing to say there.
        """
        self._mixture.starts.at(minute)
        ends = self._ranks.counts[:, None] + np.cumsum(codes, axis=1, dtype=np.int64)
        uppers = _upper_tails(codes.astype(np.float64), ends.astype(np.float64), uniforms)
        sums = self._tilts.sums(uppers, np.arange(uppers.shape[1]))
        self._mixture.update(self._tilts.log_e_values(np.cumsum(sums, axis=2)))
        self._ranks.counts = ends[:, -1].copy()
        now = self._mixture.blocks
        self._history.forget(now)
        for at, block in enumerate(range(now - ends.shape[1] + 1, now + 1)):
            if kept(block, now):
                self._history.add(block, ends[:, at] - self.reference)


def _upper_tails(blocks: Floats, ends: Floats, uniforms: Floats) -> Floats:
    """The chance of more events, and a random part of that of as many; NaN for an empty block.

    `ends` counts all units by the end of each block. Shapes (shares, blocks, 2), (shares, blocks).
    """
    units = blocks.sum(axis=2)
    uppers = uniforms.copy()
    some = ends[:, :, 1] > 0
    there = ends[some]
    more, as_many = tails(blocks[some, 1], units[some], there[:, 1], there.sum(axis=1))
    uppers[some] = more + uppers[some] * as_many
    uppers[units == 0] = np.nan
    return uppers


class NamedShares(NamedStreams):
    """A fold over events of named shares; a block draws the number of its last unit's key.

    `block` units are a block, cut by their place. Blocks that are complete wait until there are
    many, or until somebody asks, as many at once cost little more than a few.
    """

    def __init__(
        self,
        names: Sequence[str],
        reference: NDArray[np.int64],
        mode: AlarmMode = AlarmMode.MARTINGALE,
        block: int = BLOCK_UNITS,
    ) -> None:
        super().__init__(names, reference, lambda _: count_tilts(), mode)
        self._block = block
        self._filled = 0
        self._open = np.zeros(reference.shape, dtype=np.int16)
        self._keys_waiting: list[NDArray[np.uint64]] = []
        self._waiting: list[Codes] = []
        self._waits_since = 0

    def take(
        self, keys: NDArray[np.uint64], minute: int, hits: Mask, present: Mask | None = None
    ) -> None:
        """Take in units of a minute by their keys, (units,), and events, (units, shares).

        A unit that is not `present` has nothing to say about a share, and must be no hit.
        """
        if not len(self.reference):
            return
        if minute != self._waits_since:
            self._fold_waiting()
            self._waits_since = minute
        first = self._block - self._filled
        ends = keys[first - 1 :: self._block]
        parts = self._parts_of(hits, present, first)
        parts[0] += self._open
        self._open = parts[len(ends) :].sum(axis=0, dtype=np.int16)
        self._filled = (self._filled + len(keys)) % self._block
        if len(ends):
            self._keys_waiting.append(ends)
            self._waiting.append(parts[: len(ends)])
            blocks = sum(map(len, self._keys_waiting))
            if blocks * min(len(self.reference), STREAMS_AT_ONCE) >= _CELLS_AT_ONCE:
                self._fold_waiting()

    def restart(self, at: int) -> None:
        """Forget the evidence and the live units of one share, and begin anew."""
        self._fold_waiting()
        super().restart(at)
        self._open[at] = 0

    @property
    def counts(self) -> NDArray[np.int64]:
        """Counts of live units without and with the event, shape (shares, 2)."""
        self._fold_waiting()
        return super().counts + self._open

    def counts_since_change(self) -> NDArray[np.int64]:
        """Counts of live units since each share's estimated change, shape (shares, 2)."""
        self._fold_waiting()
        return super().counts_since_change() + self._open

    def log_wealth(self) -> Floats:
        """The natural logarithm of each share's evidence, shape (shares,)."""
        self._fold_waiting()
        return super().log_wealth()

    def state(self) -> dict[str, NDArray[Any]]:
        """All that must be remembered."""
        self._fold_waiting()
        return {**super().state(), "open": self._open, "filled": np.array(self._filled)}

    def restore(self, state: Mapping[str, NDArray[Any]]) -> None:
        """Go on from a state; `ValueError` where it is not one of shares like these."""
        if state["open"].shape != self._open.shape:
            message = f"an open block of shape {self._open.shape}, not {state['open'].shape}"
            raise ValueError(message)
        super().restore(state)
        self._open = state["open"].astype(np.int16)
        self._filled = int(state["filled"])
        self._waits_since = self._minute
        self._keys_waiting, self._waiting = [], []

    def _fold_waiting(self) -> None:
        """Have complete blocks ranked."""
        if not self._waiting:
            return
        keys, blocks = np.concatenate(self._keys_waiting), np.concatenate(self._waiting)
        self._keys_waiting, self._waiting = [], []
        self.update(keys, blocks.swapaxes(0, 1), self._waits_since)

    def _parts_of(self, hits: Mask, present: Mask | None, first: int) -> Codes:
        """Counts (parts, shares, 2), cut after `first` units, then evenly; the last is open."""
        units = len(hits)
        whole = max(0, units - first) // self._block
        parts = np.empty((whole + 2, hits.shape[1], 2), dtype=np.int16)
        cuts = (slice(0, first), slice(first, first + whole * self._block))
        rest = slice(cuts[1].stop, units)
        for at, events in ((1, hits), (0, present)):
            if events is None:
                parts[0, :, at], parts[1:-1, :, at] = min(first, units), self._block
                parts[-1, :, at] = max(0, units - rest.start)
                continue
            ones = events.view(np.uint8)
            body = ones[cuts[1]].reshape(whole, self._block, hits.shape[1])
            parts[0, :, at] = ones[cuts[0]].sum(axis=0, dtype=np.uint8)
            parts[1:-1, :, at] = body.sum(axis=1, dtype=np.uint8)
            parts[-1, :, at] = ones[rest].sum(axis=0, dtype=np.uint8)
        parts[:, :, 0] -= parts[:, :, 1]
        return parts

    def _made(self, part: slice) -> Streams:
        return Shares(self.reference[part], starts_in(self._mode))

    def _fold(self, streams: Streams, part: slice, held: Held) -> None:
        keys, codes, _ = held
        streams.update(codes[part], row_uniforms(keys, self._keys[part]), self._minute)
