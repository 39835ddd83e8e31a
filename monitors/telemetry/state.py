"""The counts of many sources, folded into totals that never go backwards."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from enum import StrEnum
from typing import TypeVar

from monitors.blocks import HistogramCounts, Series, Snapshot
from monitors.telemetry import names
from monitors.telemetry.names import Across, Kind, Metric

Value = int | float | HistogramCounts
"""What one series holds: a count, a gauge's reading, or the counts of a histogram."""

_V = TypeVar("_V", int, float, HistogramCounts)

SERIES_MAX = 20_000
"""How many series one metric may have over all sources: ten times what OpenTelemetry suggests, as a
version of 30 features has nearly 200 signals, each with a series for every verdict."""

RETIRED_MAX = 256
"""How many silent sources are remembered one by one, in case they speak again."""


class Refusal(StrEnum):
    """Why a series was refused."""

    UNKNOWN_NAME = "unknown name"
    WRONG_KIND = "wrong kind"
    WRONG_ATTRIBUTES = "wrong attributes"
    WRONG_VALUE = "wrong value"
    WENT_BACKWARDS = "went backwards"
    TOO_MANY_SERIES = "too many series"


@dataclass(frozen=True, slots=True)
class Point:
    """One series of a metric: the values of its attributes, in order, and what it holds."""

    attributes: tuple[str, ...]
    value: Value


@dataclass(frozen=True, slots=True)
class MetricPoints:
    """A metric with all of its series, sorted by their attributes."""

    metric: Metric
    points: tuple[Point, ...]


@dataclass(frozen=True, slots=True)
class _Source:
    """What is known of one part of a source; a retired one has no gauges."""

    snapshot: Snapshot
    seen: float
    live: bool = True


_Key = tuple[str, str]
"""A source and one of its parts."""


@dataclass(slots=True)
class TelemetryState:
    """A fold over snapshots: what `/metrics` and OTLP both tell.

    Snapshots are cumulative, so the latest of a source, or of its part, stands for all earlier
    ones, and one that is lost or comes twice changes nothing. `silent_s` is how long a source may
    say nothing before `retire` takes its gauges away and keeps its counts.
    """

    silent_s: float = 15.0
    series_max: int = SERIES_MAX
    retired_max: int = RETIRED_MAX
    _sources: dict[_Key, _Source] = field(default_factory=dict)
    _base: Snapshot = field(default_factory=lambda: _nothing(""))
    _known: dict[str, set[tuple[str, ...]]] = field(default_factory=dict)
    _refused: Counter[str] = field(default_factory=Counter)

    def fold(self, snapshot: Snapshot, now: float) -> None:
        """Take in a snapshot at `now`, in seconds; one that is not newer changes nothing.

        A series that cannot be right is refused and counted in `weir.telemetry.refused`; what the
        source said of it before still holds.
        """
        key = (snapshot.source, snapshot.part)
        source = self._sources.get(key)
        if source is not None and snapshot.sequence <= source.snapshot.sequence:
            return
        before = _nothing(snapshot.source) if source is None else source.snapshot
        accepted = Snapshot(
            source=snapshot.source,
            sequence=snapshot.sequence,
            counters={**before.counters, **self._counters(snapshot, before)},
            histograms={**before.histograms, **self._histograms(snapshot, before)},
            gauges=self._gauges(snapshot, before),
        )
        # Removing it first keeps the order of the sources that of their latest word.
        self._sources.pop(key, None)
        self._sources[key] = _Source(accepted, now)

    def retire(self, now: float) -> None:
        """Take the gauges of sources that are silent since `silent_s` away, and keep their counts.

        A source that speaks again is counted once: only when more than `retired_max` have fallen
        silent does the oldest become part of a total that nobody can take back.
        """
        for key, source in list(self._sources.items()):
            if source.live and now - source.seen > self.silent_s:
                quiet = replace(source.snapshot, gauges={})
                if quiet.counters or quiet.histograms:
                    self._sources[key] = _Source(quiet, source.seen, live=False)
                else:
                    del self._sources[key]
        silent = [key for key, source in self._sources.items() if not source.live]
        for key in silent[: max(0, len(silent) - self.retired_max)]:
            gone = self._sources.pop(key).snapshot
            self._base = replace(
                self._base,
                counters=_added([self._base.counters, gone.counters], _plus),
                histograms=_added([self._base.histograms, gone.histograms], _merged),
            )
        self._forget_gauges()

    def collect(self) -> tuple[MetricPoints, ...]:
        """The totals over all sources, in the registry's order; metrics without series left out."""
        totals: dict[Series, Value] = {}
        snapshots = [self._base, *(source.snapshot for source in self._sources.values())]
        totals.update(_added([snapshot.counters for snapshot in snapshots], _plus))
        totals.update(_added([snapshot.histograms for snapshot in snapshots], _merged))
        totals.update(_read([snapshot.gauges for snapshot in snapshots]))
        live = len({name for (name, _), source in self._sources.items() if source.live})
        totals[names.TELEMETRY_SOURCES.name, ()] = live
        for reason in Refusal:
            totals[names.TELEMETRY_REFUSED.name, (reason,)] = self._refused.get(reason, 0)
        by_name: dict[str, list[Point]] = {}
        for (name, attributes), value in totals.items():
            by_name.setdefault(name, []).append(Point(attributes, value))
        return tuple(
            MetricPoints(metric, tuple(sorted(by_name[name], key=lambda point: point.attributes)))
            for name, metric in names.METRICS.items()
            if name in by_name
        )

    def _counters(self, snapshot: Snapshot, before: Snapshot) -> dict[Series, int]:
        accepted = {}
        for series, value in self._known_series(snapshot.counters, Kind.COUNTER):
            if value < 0:
                self._refuse(Refusal.WRONG_VALUE)
            elif value < before.counters.get(series, 0):
                self._refuse(Refusal.WENT_BACKWARDS)
            elif self._has_room(series):
                accepted[series] = value
        return accepted

    def _histograms(self, snapshot: Snapshot, before: Snapshot) -> dict[Series, HistogramCounts]:
        accepted = {}
        for series, counts in self._known_series(snapshot.histograms, Kind.HISTOGRAM):
            earlier = before.histograms.get(series)
            wanted = len(names.METRICS[series[0]].bounds) + 1
            if len(counts.buckets) != wanted or min(counts.buckets) < 0 or math.isnan(counts.total):
                self._refuse(Refusal.WRONG_VALUE)
            elif earlier is not None and _less(counts, earlier):
                self._refuse(Refusal.WENT_BACKWARDS)
            elif self._has_room(series):
                accepted[series] = counts
        return accepted

    def _gauges(self, snapshot: Snapshot, before: Snapshot) -> dict[Series, float]:
        # Nearly all of the many have been looked at before, and there was room for them.
        again = {each: value for each, value in snapshot.gauges.items() if each in before.gauges}
        fresh = {each: value for each, value in snapshot.gauges.items() if each not in again}
        kinds = (Kind.GAUGE, Kind.UP_DOWN_COUNTER)
        known = self._known_series(fresh, *kinds)
        again |= {series: value for series, value in known if self._has_room(series)}
        wrong = [series for series, value in again.items() if math.isnan(value)]
        for series in wrong:
            del again[series]
            self._refuse(Refusal.WRONG_VALUE)
        return again

    def _known_series(
        self, mapping: Mapping[Series, _V], *kinds: Kind
    ) -> Iterator[tuple[Series, _V]]:
        for series, value in mapping.items():
            reason = _why_not(series, kinds)
            if reason is None:
                yield series, value
            else:
                self._refuse(reason)

    def _has_room(self, series: Series) -> bool:
        name, attributes = series
        known = self._known.setdefault(name, set())
        if attributes not in known and len(known) >= self.series_max:
            self._refuse(Refusal.TOO_MANY_SERIES)
            return False
        known.add(attributes)
        return True

    def _refuse(self, reason: Refusal) -> None:
        self._refused[reason.value] += 1

    def _forget_gauges(self) -> None:
        """Make room for new gauges in place of those that no source reports any more."""
        for name in list(self._known):
            if names.METRICS[name].kind in (Kind.GAUGE, Kind.UP_DOWN_COUNTER):
                del self._known[name]
        for source in self._sources.values():
            for name, attributes in source.snapshot.gauges:
                self._known.setdefault(name, set()).add(attributes)


_OURS = (names.TELEMETRY_SOURCES.name, names.TELEMETRY_REFUSED.name)


def _nothing(source: str) -> Snapshot:
    return Snapshot(source=source, sequence=-1)


def _why_not(series: Series, kinds: tuple[Kind, ...]) -> Refusal | None:
    """Why the registry does not know such a series, or None if it does."""
    name, attributes = series
    metric = names.METRICS.get(name)
    if metric is None or name in _OURS:
        return Refusal.UNKNOWN_NAME
    if metric.kind not in kinds:
        return Refusal.WRONG_KIND
    if len(attributes) != len(metric.attributes):
        return Refusal.WRONG_ATTRIBUTES
    for key, value in zip(metric.attributes, attributes, strict=True):
        if value and names.ATTRIBUTES[key].integer and not (value.isascii() and value.isdigit()):
            return Refusal.WRONG_ATTRIBUTES
    return None


def _plus(left: int, right: int) -> int:
    return left + right


def _merged(left: HistogramCounts, right: HistogramCounts) -> HistogramCounts:
    buckets = tuple(a + b for a, b in zip(left.buckets, right.buckets, strict=True))
    return HistogramCounts(buckets, left.total + right.total)


def _less(now: HistogramCounts, earlier: HistogramCounts) -> bool:
    return any(a < b for a, b in zip(now.buckets, earlier.buckets, strict=True))


def _added(parts: list[Mapping[Series, _V]], add: Callable[[_V, _V], _V]) -> dict[Series, _V]:
    total: dict[Series, _V] = {}
    for part in parts:
        for series, value in part.items():
            total[series] = add(total[series], value) if series in total else value
    return total


def _read(parts: list[Mapping[Series, float]]) -> dict[Series, float]:
    """Each gauge as its metric says: the sum, an extreme, or the latest word of the sources."""
    combine: dict[Across, Callable[[float, float], float]] = {
        Across.SUM: lambda left, right: left + right,
        Across.MAX: max,
        Across.MIN: min,
        Across.LATEST: lambda _, right: right,
    }
    total: dict[Series, float] = {}
    for part in parts:
        for series, value in part.items():
            join = combine[names.METRICS[series[0]].across]
            total[series] = join(total[series], value) if series in total else value
    return total
