"""Signals become series that the registry knows."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from monitors.blocks import Series, Snapshot
from monitors.signal import Signal, Verdict
from monitors.stats.familiar import Distance
from monitors.telemetry import names
from monitors.telemetry.prometheus import prometheus_name
from monitors.telemetry.rules import alerts
from monitors.telemetry.signals import (
    DISTANCE_SUBJECTS_MAX,
    Arm,
    Telling,
    distance_gauges,
    signal_gauges,
)
from monitors.telemetry.state import SERIES_MAX, TelemetryState

KEY = ("credit", "2", "canary", "drift", "location", "income")


def signal(verdict: Verdict, **stated: float) -> Signal:
    """A drift signal about one feature."""
    return Signal("drift", "location", "income", verdict, rows=120, **stated)  # type: ignore[arg-type]


def test_a_full_signal_has_a_series_for_everything_it_states() -> None:
    """Effect, bounds, evidence and rows each become a gauge, and the fold accepts them all."""
    full = signal(Verdict.ALARM, value=0.4, lower=0.3, upper=0.5, log10_evidence=4.5)
    gauges = signal_gauges("credit", 2, "canary", [full])

    state = TelemetryState()
    state.fold(Snapshot("statistics", 1, gauges=gauges), now=0.0)
    found = {each.metric.name: each.points for each in state.collect()}

    assert {name: found[name][0].value for name in found if name.startswith("weir.signal")} == {
        names.SIGNAL_VALUE.name: 0.4,
        names.SIGNAL_LOWER.name: 0.3,
        names.SIGNAL_UPPER.name: 0.5,
        names.SIGNAL_EVIDENCE.name: 4.5,
        names.SIGNAL_ROWS.name: 120.0,
        names.SIGNAL_ROWS_NEEDED.name: 0.0,
        names.SIGNAL_STATE.name: 1.0,
    }
    assert all(point.value == 0 for point in found[names.TELEMETRY_REFUSED.name])


def test_exactly_one_verdict_holds() -> None:
    """Every verdict has a series, so that a query finds 0 and not nothing."""
    gauges = signal_gauges("credit", 2, "canary", [signal(Verdict.INSUFFICIENT_DATA)])
    states = {key[-1]: value for (name, key), value in gauges.items() if len(key) == 7}
    assert states == {"ok": 0.0, "alarm": 0.0, "insufficient data": 1.0, "error": 0.0}


def test_what_is_not_stated_has_no_series() -> None:
    """A signal without an effect or evidence does not pretend to have one."""
    gauges = signal_gauges("credit", 2, "canary", [signal(Verdict.OK)])
    told = {names.SIGNAL_ROWS.name, names.SIGNAL_ROWS_NEEDED.name}
    assert {name for name, key in gauges if key == KEY} == told


def test_rows_that_are_lacking_are_told_where_they_would_help() -> None:
    """As many as are needed; none where no number would do, or where there is a verdict."""
    for verdict, needed, told in (
        (Verdict.INSUFFICIENT_DATA, 38, 38.0),
        (Verdict.INSUFFICIENT_DATA, None, 0.0),
        (Verdict.OK, 38, 0.0),
    ):
        lacking = replace(signal(verdict), rows_needed=needed)
        gauges = signal_gauges("credit", 2, "canary", [lacking])
        assert gauges[names.SIGNAL_ROWS_NEEDED.name, KEY] == told


def with_distances(subject: str, count: int = 7) -> Signal:
    """A signal about a subject with so many distances."""
    found = tuple(Distance(f"distance{n}", 0.5, 0.25, 0.75, 0.1) for n in range(count))
    return Signal("drift", "location", subject, Verdict.OK, rows=9, distances=found)


def distances_in(gauges: Mapping[Series, float]) -> list[Series]:
    """The series of distances and their bounds."""
    return [series for series in gauges if series[0].startswith(names.SIGNAL_DISTANCE.name)]


def test_each_distance_has_a_series_with_its_bounds() -> None:
    """Three metrics with the distance as an attribute, and the fold accepts them all."""
    gauges = distance_gauges("credit", 2, "canary", [with_distances("income", 2)])

    state = TelemetryState()
    state.fold(Snapshot("statistics", 1, gauges=gauges), now=0.0)
    found = {each.metric.name: each.points for each in state.collect()}

    for metric, value in (
        (names.SIGNAL_DISTANCE, 0.5),
        (names.SIGNAL_DISTANCE_LOWER, 0.25),
        (names.SIGNAL_DISTANCE_UPPER, 0.75),
    ):
        points = {point.attributes: point.value for point in found[metric.name]}
        assert points == {(*KEY, "distance0"): value, (*KEY, "distance1"): value}
    assert all(point.value == 0 for point in found[names.TELEMETRY_REFUSED.name])


def test_a_version_with_very_many_features_exports_no_distances() -> None:
    """At the limit all of them, beyond it none, and others of the gateway are not touched."""
    signals = [with_distances(f"f{n}") for n in range(DISTANCE_SUBJECTS_MAX)]
    wide = ("m", 1, "stable")
    small = (("n", 1, "stable"), [with_distances("f")])

    at_the_limit = Telling(5.0).parts([(wide, signals)], 0.0)
    beyond = Telling(5.0).parts([(wide, [*signals, with_distances("one_more")]), small], 0.0)

    assert len(distances_in(at_the_limit[wide])) == 3 * 7 * DISTANCE_SUBJECTS_MAX
    assert not distances_in(beyond[wide])
    assert len(distances_in(beyond["n", 1, "stable"])) == 3 * 7


def test_distances_never_fill_the_room_that_a_metric_has() -> None:
    """With many models the later ones export none, so that no series is refused."""
    signals = [with_distances(f"f{n}") for n in range(DISTANCE_SUBJECTS_MAX)]
    fitting = SERIES_MAX // (7 * DISTANCE_SUBJECTS_MAX)
    arms = [((f"m{n}", 1, "stable"), signals) for n in range(fitting + 2)]
    last = (("n", 1, "stable"), [with_distances("f")])

    parts = Telling(5.0).parts([*arms, last], 0.0)

    with_some = {model for (model, _, _), gauges in parts.items() if distances_in(gauges)}
    assert with_some == {"n", *(f"m{n}" for n in range(fitting))}
    state = TelemetryState()
    for (model, _, _), gauges in parts.items():
        state.fold(Snapshot("statistics", 1, gauges=gauges, part=model), now=0.0)
    found = {each.metric.name: each.points for each in state.collect()}
    assert all(point.value == 0 for point in found[names.TELEMETRY_REFUSED.name])


def test_signals_are_told_when_they_change_and_now_and_then() -> None:
    """What has not changed costs nothing until it is time to say that it is still so."""
    telling = Telling(5.0)
    busy, idle = ("m", 1, "stable"), ("m", 2, "canary")
    same = (signal(Verdict.OK),)

    def told(now: float) -> set[Arm]:
        return set(telling.parts([(busy, (signal(Verdict.OK),)), (idle, same)], now))

    assert told(0.0) == {busy, idle}
    assert told(4.0) == {busy}
    assert told(5.0) == {busy, idle}
    assert told(9.0) == {busy}


def test_a_version_that_comes_again_is_told_at_once() -> None:
    """Whoever had gone meanwhile was forgotten at the other end."""
    telling = Telling(5.0)
    arm, same = ("m", 1, "stable"), (signal(Verdict.OK),)
    assert set(telling.parts([(arm, same)], 0.0)) == {arm}
    assert telling.parts([], 1.0) == {}
    assert set(telling.parts([(arm, same)], 2.0)) == {arm}


def test_nobody_is_paged_on_a_distance() -> None:
    """No alert rule speaks of them."""
    page_name = prometheus_name(names.SIGNAL_DISTANCE)
    assert not [alert.name for alert in alerts() if page_name in alert.expr]
