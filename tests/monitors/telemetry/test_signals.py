"""Signals become series that the registry knows."""

from __future__ import annotations

from monitors.blocks import Snapshot
from monitors.signal import Signal, Verdict
from monitors.telemetry import names
from monitors.telemetry.signals import signal_gauges
from monitors.telemetry.state import TelemetryState

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
    assert {name for name, key in gauges if key == KEY} == {names.SIGNAL_ROWS.name}
