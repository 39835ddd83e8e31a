"""Streams by name: each row draws its own uniform numbers; a few streams are worked on at once."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray

from monitors.stats.running import Codes
from monitors.stats.streams import Streams, rows_at_once
from monitors.stats.tilts import Tilts
from monitors.stats.uniforms import row_uniforms, stream_keys

STREAMS_AT_ONCE = 128
"""So many streams, and rows at once, that what is worked on stays in the processor's cache."""


class NamedStreams:
    """A fold over rows of bin numbers of named streams, whose result is that of one `Streams`.

    `reference` (streams, bins) holds the counts of the reference; `tilts` gives the bets of the
    streams in a slice. A row's uniform numbers belong to its key and to the names.
    """

    def __init__(
        self, names: Sequence[str], reference: NDArray[np.int64], tilts: Callable[[slice], Tilts]
    ) -> None:
        self.reference = reference
        self._keys = stream_keys(names)
        self._parts = [
            slice(at, at + STREAMS_AT_ONCE) for at in range(0, len(names), STREAMS_AT_ONCE)
        ]
        self._streams = [Streams(reference[part], tilts(part)) for part in self._parts]

    def update(self, keys: NDArray[np.uint64], codes: Codes) -> None:
        """Take in rows by their keys, (rows,), and their bin numbers, (streams, rows)."""
        for part, streams in zip(self._parts, self._streams, strict=True):
            step = rows_at_once(len(codes[part]))
            for at in range(0, len(keys), step):
                rows = slice(at, at + step)
                streams.update(codes[part, rows], row_uniforms(keys[rows], self._keys[part]))

    @property
    def counts(self) -> NDArray[np.int64]:
        """Counts of live rows, shape (streams, bins)."""
        return self._joined([streams.counts for streams in self._streams])

    def counts_since_change(self) -> NDArray[np.int64]:
        """Counts of live rows since each stream's estimated change, shape (streams, bins)."""
        return self._joined([streams.counts_since_change() for streams in self._streams])

    def log_wealth(self) -> NDArray[np.float64]:
        """The natural logarithm of each stream's e-value, shape (streams,)."""
        return np.concatenate([np.zeros(0), *(each.log_wealth() for each in self._streams)])

    def _joined(self, counts: list[NDArray[np.int64]]) -> NDArray[np.int64]:
        return np.concatenate([np.zeros((0, self.reference.shape[1]), dtype=np.int64), *counts])
