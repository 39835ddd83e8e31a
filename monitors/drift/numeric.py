"""Numeric streams against their reference: what input drift and prediction drift share."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from math import log

import numpy as np
from numpy.typing import NDArray

from monitors.explain import Bins, numeric_labels
from monitors.profile.bins import bin_points, numeric_bins
from monitors.profile.reference import BINS, NumericProfile
from monitors.signal import Signal, State
from monitors.stats.comparison import Comparison
from monitors.stats.effects import (
    Effect,
    Moments,
    bin_scores,
    location_shift,
    moments,
    scale_change,
)
from monitors.stats.familiar import Distance
from monitors.stats.named import NamedStreams
from monitors.stats.strata import LikeWithLike, RowStrata
from monitors.stats.tilts import normal_tilts
from monitors.verdicts import REFERENCE_ROWS_MIN, WITHIN_STRATA, Monitor, larger, shown


def ready(profile: NumericProfile) -> bool:
    """Whether enough reference rows were counted in the bins to compare with."""
    return sum(profile.counts) >= REFERENCE_ROWS_MIN


class NumericStreams:
    """A fold over numeric columns, one conformal martingale for each; all must be `ready`.

    `by_stratum` gives the reference's rows by stratum and bin, (strata, bins) for each column,
    where columns are compared within strata.
    """

    def __init__(
        self,
        profiles: Mapping[str, NumericProfile],
        monitor: Monitor,
        by_stratum: Sequence[NDArray[np.int64]] | None = None,
    ) -> None:
        self.names = tuple(profiles)
        self._monitor = monitor
        self._edges = np.full((len(profiles), BINS + 1), np.inf)
        for edges, profile in zip(self._edges, profiles.values(), strict=True):
            edges[: len(profile.edges)] = profile.edges
        self._bins = [len(profile.counts) for profile in profiles.values()]
        reference = np.zeros((len(profiles), max(self._bins, default=1)), dtype=np.int64)
        for row, profile in zip(reference, profiles.values(), strict=True):
            row[: len(profile.counts)] = profile.counts
        self._labels = [numeric_labels(profile.edges) for profile in profiles.values()]
        counts = [row[:bins] for row, bins in zip(reference, self._bins, strict=True)]
        self._scores = [bin_scores(each) for each in counts]
        self._moments = [moments(*pair) for pair in zip(self._scores, counts, strict=True)]
        points = [_points(profile) for profile in profiles.values()]
        self._comparison = Comparison(counts, points)
        keys = [f"{monitor.name}/{name}" for name in self.names]
        mode = monitor.settings.alarm_mode
        strata = None if by_stratum is None else _stacked(by_stratum, reference.shape[1])
        self._alike = None if strata is None else LikeWithLike(reference, strata)
        self._streams = NamedStreams(keys, reference, lambda _: normal_tilts(), mode, strata)

    def update(
        self,
        keys: NDArray[np.uint64],
        values: NDArray[np.float64],
        minute: int,
        strata: RowStrata | None = None,
    ) -> None:
        """Take in rows of a minute by their keys, and their values, shape (columns, rows).

        And their strata, (rows,), where columns are compared within strata.
        """
        self._streams.update(keys, numeric_bins(self._edges, values), minute, strata)

    def rearm(self, name: str) -> None:
        """Begin anew with one column, if it is here."""
        if name in self.names:
            self._streams.restart(self.names.index(name))

    def forget(self, minute: int) -> bool:
        """Drop the windows that ended before a minute; says whether there were any."""
        return self._streams.forget(minute)

    def state(self) -> State:
        """All that must be remembered."""
        return self._streams.state()

    def restore(self, state: State) -> None:
        """Go on from a state."""
        self._streams.restore(state)

    def bins(self, name: str, minutes: int | None) -> Bins | None:
        """The bins of one column, None if it is not here."""
        if name not in self.names:
            return None
        at = self.names.index(name)
        streams, bins = self._streams, self._bins[at]
        live = streams.counts if minutes is None else streams.counts_of_last(minutes)
        return Bins(self._labels[at], streams.reference[at, :bins], live[at, :bins])

    def rows_since_change(self, name: str) -> int | None:
        """Rows of one column since its estimated change, None if it is not here."""
        if name not in self.names:
            return None
        return int(self._streams.counts_since_change()[self.names.index(name)].sum())

    def signals(self) -> list[Signal]:
        """One signal for each column."""
        wealth = self._streams.log_wealth()
        since = self._streams.counts_since_change()
        rows = self._streams.counts.sum(axis=1)
        alike = self._reference_alike()
        effects = self._effects(since, alike)
        distances = self._comparison.distances(since, alike)
        return [
            self._signal(at, int(rows[at]), float(wealth[at]), effects[at], distances[at])
            for at in range(len(self.names))
        ]

    def _signal(
        self,
        at: int,
        rows: int,
        wealth: float,
        effect: Effect | None,
        distances: tuple[Distance, ...],
    ) -> Signal:
        signal = self._monitor.signal(self.names[at], rows, wealth, effect)
        if signal.value is None:
            return signal
        within = WITHIN_STRATA if self._alike else ""
        message = f"{signal.message} ({within}{shown(distances)})"
        return replace(signal, message=message, distances=distances)

    def together(self) -> tuple[int, float, Effect | None]:
        """The rows, and the evidence and effect of all columns as one subject.

        The evidence is the largest of theirs divided by their number, which exceeds c ever with
        chance at most 1/c by Ville's inequality for each, and a sum over columns.
        """
        wealth = self._streams.log_wealth()
        since = self._streams.counts_since_change()
        found = self._effects(since, self._reference_alike())
        effects = [effect for effect in found if effect is not None]
        effect = max(effects, key=lambda each: each.at_least, default=None)
        rows = int(self._streams.counts.sum(axis=1).max())
        return rows, float(wealth.max()) - log(len(self.names)), effect

    def _reference_alike(self) -> NDArray[np.float64] | None:
        """The reference in the strata of the live rows since the change; None without strata."""
        if self._alike is None:
            return None
        live = self._streams.strata_counts() if self._alike.lacks else None
        return self._alike.reference(self._streams.strata_since_change(), live)

    def _effects(
        self, since: NDArray[np.int64], alike: NDArray[np.float64] | None
    ) -> list[Effect | None]:
        """How much each column has changed, None without rows."""
        moments_before = self._moments
        if alike is not None:
            moments_before = [
                moments(scores, counts[: len(scores)])
                for scores, counts in zip(self._scores, alike, strict=True)
            ]
        return [
            _effect(before, scores, counts[: len(scores)])
            for before, scores, counts in zip(moments_before, self._scores, since, strict=True)
        ]


def _effect(
    before: Moments, scores: NDArray[np.float64], since: NDArray[np.int64]
) -> Effect | None:
    if not since.sum():
        return None
    now = moments(scores, since)
    return larger(location_shift(before, now), scale_change(before, now))


def _stacked(tables: Sequence[NDArray[np.int64]], bins: int) -> NDArray[np.int64]:
    """Tables (strata, bins) of columns as one array (strata, columns, bins)."""
    strata = len(tables[0]) if tables else 0
    stacked = np.zeros((strata, len(tables), bins), dtype=np.int64)
    for at, table in enumerate(tables):
        stacked[:, at, : table.shape[1]] = table
    return stacked


def _points(profile: NumericProfile) -> NDArray[np.float64]:
    """Where each bin lies, in reference standard deviations; not finite where there are none."""
    points = bin_points(profile.edges)
    with np.errstate(over="ignore"):
        scaled = points / (profile.deviation or np.nan)
    return scaled if np.isfinite(scaled).all() else np.full_like(points, np.nan)
