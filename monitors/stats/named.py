"""Streams by name: each row draws its own uniform numbers; a few streams are worked on at once."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from configs.settings import AlarmMode
from monitors.stats.running import Codes
from monitors.stats.starts import starts_in
from monitors.stats.strata import RowStrata, WithinStrata
from monitors.stats.streams import Streams, rows_at_once
from monitors.stats.tilts import Tilts
from monitors.stats.uniforms import row_uniforms, stream_keys
from monitors.windows import Windows

STREAMS_AT_ONCE = 128
"""So many streams, and rows at once, that what is worked on stays in the processor's cache."""

_CELLS_WORTH_A_FOLD = 15_000
"""Rows wait until there are so many of all streams together, as few cost little less than many."""

Held = tuple[NDArray[np.uint64], Codes, RowStrata | None]
"""Rows that wait: their keys, their bin numbers, and their strata where there are any."""


class NamedStreams:
    """A fold over rows of bin numbers of named streams, whose result is that of one `Streams`.

    `reference` (streams, bins) holds the counts of the reference; `tilts` gives the bets of the
    streams in a slice. A row's uniform numbers belong to its key and to the names. Rows wait until
    there are many, or until somebody asks. `strata` (strata, streams, bins) counts the reference by
    stratum where rows are ranked within strata; `together` says that all streams skip the same.
    """

    def __init__(
        self,
        names: Sequence[str],
        reference: NDArray[np.int64],
        tilts: Callable[[slice], Tilts],
        mode: AlarmMode = AlarmMode.MARTINGALE,
        strata: NDArray[np.int64] | None = None,
        together: bool = False,
    ) -> None:
        self.reference = reference
        self._tilts = tilts
        self._mode = mode
        self._strata = strata
        self._together = together
        self._keys = stream_keys(names)
        self._parts = [
            slice(at, min(at + STREAMS_AT_ONCE, len(names)))
            for at in range(0, len(names), STREAMS_AT_ONCE)
        ]
        self._streams = [self._made(part) for part in self._parts]
        self._anew: dict[int, Streams] = {}
        self._windows = Windows(reference.shape)
        self._windowed = np.zeros_like(reference)
        self._minute = 0
        self._held: list[Held] = []
        self._cells = 0

    def update(
        self,
        keys: NDArray[np.uint64],
        codes: Codes,
        minute: int = 0,
        strata: RowStrata | None = None,
    ) -> None:
        """Take in rows of a minute by their keys, (rows,), and bin numbers, (streams, rows).

        Their strata, (rows,), are needed where the reference has any; else `ValueError`.
        """
        if (strata is None) != (self._strata is None):
            message = "rows have strata if the reference has, and only then"
            raise ValueError(message)
        if not self._streams:
            return
        if minute != self._minute:
            self._close_window()
            self._minute = minute
        self._held.append((keys, codes, strata))
        self._cells += codes.shape[0] * codes.shape[1]
        if self._cells >= _CELLS_WORTH_A_FOLD:
            self._fold_held()

    def restart(self, at: int) -> None:
        """Forget the evidence and the live rows of one stream, and begin anew."""
        self._fold_held()
        self._anew[at] = self._made(slice(at, at + 1))

    @property
    def counts(self) -> NDArray[np.int64]:
        """Counts of live rows, shape (streams, bins)."""
        return self._joined(lambda streams: streams.counts, self.reference.shape[1:])

    def counts_since_change(self) -> NDArray[np.int64]:
        """Counts of live rows since each stream's estimated change, shape (streams, bins)."""
        return self._joined(lambda streams: streams.counts_since_change(), self.reference.shape[1:])

    def strata_rows(self) -> NDArray[np.int64]:
        """Live rows of each stratum, shape (streams, strata)."""
        return self._joined(lambda streams: streams.strata_rows(), (self._strata_count,))

    def strata_since_change(self) -> NDArray[np.int64]:
        """The same since each stream's estimated change."""
        return self._joined(lambda streams: streams.strata_since_change(), (self._strata_count,))

    def strata_counts(self) -> NDArray[np.int64]:
        """Counts of live rows by stratum, shape (streams, strata, bins)."""
        shape = (self._strata_count, self.reference.shape[1])
        return self._joined(lambda streams: streams.strata_counts(), shape)

    def counts_of_last(self, minutes: int) -> NDArray[np.int64]:
        """Counts of the rows of the last minutes, also before a restart, shape (streams, bins)."""
        self._close_window()
        return self._windows.last(minutes, self._minute)

    def forget(self, minute: int) -> bool:
        """Drop the windows that ended before a minute; says whether there were any."""
        return self._windows.forget(minute)

    def log_wealth(self) -> NDArray[np.float64]:
        """The natural logarithm of each stream's evidence, shape (streams,)."""
        return self._joined(lambda streams: streams.log_wealth(), ())

    def state(self) -> dict[str, NDArray[Any]]:
        """All that must be remembered, by names that begin with the number of a part."""
        self._close_window()
        whole = {f"{at}.{name}": held for at, name, held in _named(dict(enumerate(self._streams)))}
        anew = {f"anew.{at}.{name}": held for at, name, held in _named(self._anew)}
        clock = {"minute": np.array(self._minute, dtype=np.int64)}
        return whole | anew | self._windows.state() | clock

    def restore(self, state: Mapping[str, NDArray[Any]]) -> None:
        """Go on from a state; `ValueError` where it is not one of streams like these."""
        self._held, self._cells = [], 0
        for at, streams in enumerate(self._streams):
            streams.restore(_under(f"{at}.", state))
        anew = {int(name.split(".")[1]) for name in state if name.startswith("anew.")}
        self._anew = {at: self._made(slice(at, at + 1)) for at in sorted(anew)}
        for at, streams in self._anew.items():
            streams.restore(_under(f"anew.{at}.", state))
        self._windows.restore(state)
        self._windowed = self._all_counts()
        self._minute = int(state["minute"])

    def _fold_held(self) -> None:
        """Fold the rows that wait."""
        if not self._held:
            return
        keys = np.concatenate([keys for keys, _, _ in self._held])
        codes = np.concatenate([codes for _, codes, _ in self._held], axis=1)
        each = [strata for _, _, strata in self._held if strata is not None]
        held = (keys, codes, np.concatenate(each) if each else None)
        self._held, self._cells = [], 0
        for part, streams in zip(self._parts, self._streams, strict=True):
            self._fold(streams, part, held)
        for at, streams in self._anew.items():
            self._fold(streams, slice(at, at + 1), held)

    def _close_window(self) -> None:
        """Count what came since the last time for the minute that was."""
        counts = self._all_counts()
        if counts.any() and (fresh := counts - self._windowed).any():
            self._windows.add(self._minute, fresh)
            self._windowed = counts

    def _all_counts(self) -> NDArray[np.int64]:
        """Counts of all live rows, whatever began anew, shape (streams, bins)."""
        if not self._streams:
            return np.zeros_like(self.reference)
        self._fold_held()
        return np.concatenate([streams.counts for streams in self._streams])

    def _made(self, part: slice) -> Streams:
        within = None
        if self._strata is not None:
            within = WithinStrata(self._strata[:, part], self._together)
        return Streams(self.reference[part], self._tilts(part), starts_in(self._mode), within)

    @property
    def _strata_count(self) -> int:
        return 0 if self._strata is None else len(self._strata)

    def _fold(self, streams: Streams, part: slice, held: Held) -> None:
        keys, codes, strata = held
        step = rows_at_once(len(codes[part]))
        for at in range(0, len(keys), step):
            rows = slice(at, at + step)
            uniforms = row_uniforms(keys[rows], self._keys[part])
            those = None if strata is None else strata[rows]
            streams.update_within(those, codes[part, rows], uniforms, self._minute)

    def _joined(
        self, read: Callable[[Streams], NDArray[Any]], shape: tuple[int, ...]
    ) -> NDArray[Any]:
        """What is read of all streams, those that began anew in their places."""
        if not self._streams:
            return np.zeros((0, *shape), dtype=np.int64)
        self._fold_held()
        joined = np.concatenate([read(streams) for streams in self._streams])
        for at, streams in self._anew.items():
            joined[at] = read(streams)[0]
        return joined


def _named(streams: Mapping[int, Streams]) -> list[tuple[int, str, NDArray[Any]]]:
    return [(at, name, held) for at, each in streams.items() for name, held in each.state().items()]


def _under(prefix: str, state: Mapping[str, NDArray[Any]]) -> dict[str, NDArray[Any]]:
    """The part of a state whose names begin so, without it; `ValueError` if there is none."""
    part = {name[len(prefix) :]: held for name, held in state.items() if name.startswith(prefix)}
    if not part:
        message = f"a state without {prefix}"
        raise ValueError(message)
    return part
