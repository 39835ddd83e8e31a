"""Numeric streams against their reference: what input drift and prediction drift share."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from monitors.profile.bins import numeric_bins
from monitors.profile.reference import NumericProfile
from monitors.signal import Signal
from monitors.stats.effects import Effect, location_shift, scale_change
from monitors.stats.streams import Streams
from monitors.stats.tilts import normal_tilts
from monitors.stats.uniforms import row_uniforms, stream_keys
from monitors.verdicts import REFERENCE_ROWS_MIN, Monitor, distances, larger


def ready(profile: NumericProfile) -> bool:
    """Whether enough reference rows were counted in the bins to compare with."""
    return sum(profile.counts) >= REFERENCE_ROWS_MIN


class NumericStreams:
    """A fold over numeric columns, one conformal martingale for each; all must be `ready`."""

    def __init__(self, profiles: Mapping[str, NumericProfile], monitor: Monitor) -> None:
        self.names = tuple(profiles)
        self._monitor = monitor
        self._edges = [np.array(profile.edges) for profile in profiles.values()]
        self._bins = [len(profile.counts) for profile in profiles.values()]
        reference = np.zeros((len(profiles), max(self._bins, default=1)), dtype=np.int64)
        for row, profile in zip(reference, profiles.values(), strict=True):
            row[: len(profile.counts)] = profile.counts
        self._streams = Streams(reference, normal_tilts())
        self._keys = stream_keys(f"{monitor.name}/{name}" for name in self.names)

    def update(self, keys: NDArray[np.uint64], columns: Sequence[NDArray[np.float64]]) -> None:
        """Take in rows by their keys, and one column for each name."""
        if not self.names or not len(keys):
            return
        pairs = zip(self._edges, columns, strict=True)
        codes = np.stack([numeric_bins(edges, values) for edges, values in pairs], axis=1)
        self._streams.update(codes, row_uniforms(keys, self._keys))

    def signals(self) -> list[Signal]:
        """One signal for each column."""
        if not self.names:
            return []
        wealth = self._streams.log_wealth()
        since = self._streams.counts_since_change()
        return [
            self._signal(at, float(wealth[at]), since[at, : self._bins[at]])
            for at in range(len(self.names))
        ]

    def _signal(self, at: int, wealth: float, since: NDArray[np.int64]) -> Signal:
        reference = self._streams.reference[at, : self._bins[at]]
        rows = int(self._streams.counts[at].sum())
        effect: Effect | None = None
        if since.sum():
            effect = larger(location_shift(reference, since), scale_change(reference, since))
        signal = self._monitor.signal(self.names[at], rows, wealth, effect)
        if signal.value is None:
            return signal
        return replace(signal, message=f"{signal.message} ({distances(reference, since)})")
