"""Each alert fires when it should and is quiet when it should be, by promtool's own reckoning."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import pytest
import yaml

from monitors.telemetry import names
from monitors.telemetry.generate import CHECKOUT
from monitors.telemetry.names import Kind, Metric
from monitors.telemetry.prometheus import prometheus_label, prometheus_name
from monitors.telemetry.rules import alerts
from tests.monitors.telemetry.example import REPORTED, series_of
from tests.tools.prometheus import promtool

pytestmark = pytest.mark.deploy

RULES = CHECKOUT / "deploy" / "prometheus" / "weir.rules.yml"
Values = Mapping[str, str]
"""Series and their values minute by minute, in promtool's notation: `start+stepxtimes`."""


def line(metric: Metric, part: str = "", **given: str) -> str:
    """A series of the metric as promtool's test files write it."""
    _, values = series_of(metric, **given)
    pairs = zip(metric.attributes, values, strict=True)
    inside = ", ".join(f'{prometheus_label(name)}="{value}"' for name, value in pairs)
    return f"{prometheus_name(metric)}{part}{{{inside}}}"


def served(values: str, error: str = "", **given: str) -> Values:
    """Requests that ended with this error type."""
    return {line(names.INFERENCE_DURATION, "_count", error_type=error, **given): values}


def state(verdict: str, values: str = "1x3000", **given: str) -> Values:
    """A signal that holds this verdict."""
    return {line(names.SIGNAL_STATE, weir_signal_state=verdict, **given): values}


@dataclass(frozen=True, slots=True)
class Case:
    """Series, the moment to look, and whether the alert then fires.

    `every` is how often the rules are evaluated: seldom, where a case lasts for days.
    """

    alert: str
    why: str
    series: Values
    at: str
    fires: bool
    every: str = "1m"


def fires(alert: str, why: str, series: Values, at: str = "1h", every: str = "1m") -> Case:
    """The alert fires."""
    return Case(alert, why, series, at, True, every)


def quiet(alert: str, why: str, series: Values, at: str = "1h", every: str = "1m") -> Case:
    """The alert does not fire."""
    return Case(alert, why, series, at, False, every)


FAST, SLOW = "WeirErrorsBurnFast", "WeirErrorsBurnSlowly"
SAMPLES, BLOCKS = line(names.SAMPLES), line(names.MONITOR_BLOCKS)
RETRIES, READY = line(names.VERSION_RETRIES), line(names.VERSION_READY)
LACKING = line(names.SIGNAL_ROWS_NEEDED)
SHED = line(names.REQUESTS_SHED)
LAG, FAILURES = line(names.MONITOR_LAG), line(names.MONITOR_FAILURES)
DROPPED, FAILED = line(names.SAMPLES_DROPPED), line(names.SNAPSHOTS_FAILED)
REFUSED = line(names.TELEMETRY_REFUSED)
UNTOLD = line(names.ALARM_DELIVERIES, weir_outcome="failed")
TOLD = line(names.ALARM_DELIVERIES, weir_outcome="delivered")
HELD = line(names.ROLLOUT_STATE, weir_rollout_state="held")
CANARY = line(names.ROLLOUT_STATE, weir_rollout_state="canary")
NO_NEWS = line(names.ROLLOUT_DELIVERIES, weir_outcome="failed")
SENT = line(names.SHADOW_REQUESTS, weir_outcome="sent")
LOST = line(names.SHADOW_REQUESTS, weir_outcome="dropped")

CASES = (
    fires("WeirDown", "the page is gone", {'up{job="weir"}': "0x90"}),
    quiet("WeirDown", "the page is there", {'up{job="weir"}': "1x90"}),
    fires(FAST, "1 in 11 fails", {**served("0+100x90"), **served("0+10x90", "model_failed")}),
    quiet(FAST, "clients err", {**served("0+100x90"), **served("0+10x90", "bad_tensor")}),
    quiet(FAST, "1 in 100 fails", {**served("0+990x90"), **served("0+10x90", "internal")}),
    quiet(FAST, "five in all", {**served("0x90"), **served("0 1 2 3 4 5x85", "internal")}, "8m"),
    quiet(FAST, "it is over", {**served("0+9x90"), **served("0+9x30 270x60", "internal")}),
    quiet(
        FAST,
        "only the shadow fails",
        {**served("0+9x90"), **served("0+9x90", "internal", weir_arm="shadow")},
    ),
    fires(SLOW, "1 in 100 fails", {**served("0+990x500"), **served("0+10x500", "internal")}, "7h"),
    quiet(SLOW, "1 in 500 fails", {**served("0+998x500"), **served("0+2x500", "internal")}, "7h"),
    fires("WeirVersionNotReady", "nobody is connected", {READY: "0x90"}),
    quiet("WeirVersionNotReady", "one is", {READY: "1x90"}),
    quiet("WeirVersionNotReady", "it only starts", {READY: "0x3 1x90"}, "4m"),
    fires("WeirOverloaded", "refuses for long", {SHED: "0+60x90"}),
    quiet("WeirOverloaded", "a burst long ago", {SHED: "0 500x90"}),
    fires("WeirVersionRetries", "one a minute", {RETRIES: "0+1x90"}),
    quiet("WeirVersionRetries", "a burst long ago", {RETRIES: "0 50x90"}),
    fires("WeirSignalAlarm", "at once", state("alarm"), "1m"),
    quiet("WeirSignalAlarm", "ok", {**state("ok"), **state("alarm", "0x90")}),
    quiet("WeirSignalAlarm", "a shadow's", state("alarm", weir_arm="shadow")),
    fires("WeirShadowSignalAlarm", "at once", state("alarm", weir_arm="shadow"), "1m"),
    quiet("WeirShadowSignalAlarm", "a stable version's", state("alarm")),
    fires("WeirSignalError", "it lasts", state("error")),
    quiet("WeirSignalError", "it was short", state("error", "1x5 0x90")),
    fires(
        "WeirInsufficientData",
        "more than a day of traffic",
        {LACKING: "38x3000", SAMPLES: "0+1x3000"},
        "26h",
        "5m",
    ),
    quiet(
        "WeirInsufficientData",
        "no traffic",
        {LACKING: "38x3000", SAMPLES: "7x3000"},
        "26h",
        "5m",
    ),
    quiet(
        "WeirInsufficientData",
        "the first day",
        {LACKING: "38x3000", SAMPLES: "0+1x3000"},
        "20h",
        "5m",
    ),
    quiet(
        "WeirInsufficientData",
        "rows would not help",
        {**state("insufficient data"), LACKING: "0x3000", SAMPLES: "0+1x3000"},
        "26h",
        "5m",
    ),
    quiet(
        "WeirInsufficientData",
        "there were enough in the end",
        {LACKING: "38x1000 0x2000", SAMPLES: "0+1x3000"},
        "26h",
        "5m",
    ),
    fires("WeirMonitorSilent", "rows and no blocks", {SAMPLES: "0+60x90", BLOCKS: "5x90"}),
    fires("WeirMonitorSilent", "a monitor that never was", {SAMPLES: "0+60x90"}),
    quiet("WeirMonitorSilent", "both grow", {SAMPLES: "0+60x90", BLOCKS: "0+2x90"}),
    quiet("WeirMonitorSilent", "neither grows", {SAMPLES: "60x90", BLOCKS: "2x90"}),
    fires("WeirMonitorLag", "two minutes behind", {LAG: "120x90"}),
    quiet("WeirMonitorLag", "a second behind", {LAG: "1x90"}),
    fires("WeirMonitorFailing", "again and again", {FAILURES: "0+1x90"}),
    quiet("WeirMonitorFailing", "once", {FAILURES: "0x40 1x50"}),
    fires("WeirAlarmsNotDelivered", "one try a minute", {UNTOLD: "0+1x90"}),
    quiet(
        "WeirAlarmsNotDelivered", "it worked the second time", {UNTOLD: "0x30 1x60", TOLD: "0+1x90"}
    ),
    fires("WeirRolloutHeld", "for an hour", {HELD: "1x90"}),
    quiet("WeirRolloutHeld", "it goes on", {HELD: "1x10", CANARY: "_x10 1x80"}),
    fires("WeirRolloutsNotTold", "one try a minute", {NO_NEWS: "0+1x90"}),
    quiet("WeirRolloutsNotTold", "it worked the second time", {NO_NEWS: "0x30 1x60"}),
    fires("WeirSamplesDropped", "a stream of them", {DROPPED: "0+5x90"}),
    quiet("WeirSamplesDropped", "once", {DROPPED: "0x50 90x40"}),
    fires("WeirSnapshotsFailed", "one a minute", {FAILED: "0+1x90"}),
    quiet("WeirSnapshotsFailed", "once", {FAILED: "0x50 1x40"}),
    fires("WeirShadowLosing", "half is lost", {SENT: "0+10x90", LOST: "0+10x90"}),
    quiet("WeirShadowLosing", "1 % is lost", {SENT: "0+99x90", LOST: "0+1x90"}),
    fires("WeirSeriesRefused", "at every snapshot", {REFUSED: "0+9x90"}),
    quiet("WeirSeriesRefused", "long ago", {REFUSED: "7x90"}),
)


def check(folder: Path, case: Case) -> None:
    """Let promtool run the rules over the series, and compare what fires then."""
    expr = (
        f'(count(ALERTS{{alertname=~"{case.alert}", alertstate="firing"}}) or vector(0)) > bool 0'
    )
    test = {
        "interval": "1m",
        "input_series": [{"series": s, "values": v} for s, v in case.series.items()],
        "promql_expr_test": [
            {
                "expr": expr,
                "eval_time": case.at,
                "exp_samples": [{"labels": "{}", "value": int(case.fires)}],
            }
        ],
    }
    whole = {"rule_files": [str(RULES)], "evaluation_interval": case.every, "tests": [test]}
    path = folder / "test.yml"
    path.write_text(yaml.safe_dump(whole))
    promtool("test", "rules", str(path))


@pytest.mark.parametrize("case", CASES, ids=lambda case: f"{case.alert}: {case.why}")
def test_an_alert_fires_only_when_it_should(tmp_path: Path, case: Case) -> None:
    """The alert fires, or does not, at the moment the case names."""
    check(tmp_path, case)


def test_every_alert_is_tested_both_ways() -> None:
    """No alert ships that was not seen to fire and to stay quiet."""
    every = {alert.name for alert in alerts()}
    assert {case.alert for case in CASES if case.fires} == every
    assert {case.alert for case in CASES if not case.fires} == every


def test_a_model_that_nobody_calls_raises_no_alarm(tmp_path: Path) -> None:
    """A day of silence, with every count standing still, page nobody."""
    still = {'up{job="weir"}': "1x1600"}
    for metric in REPORTED:
        given = {"weir_signal_state": "insufficient data"} if metric is names.SIGNAL_STATE else {}
        part = "_count" if metric.kind is Kind.HISTOGRAM else ""
        still[line(metric, part, **given)] = "1x1600"
    check(tmp_path, Case(".*", "silence", still, "26h", fires=False, every="5m"))


def test_promtool_accepts_the_rules_and_the_configuration() -> None:
    """What ships is what Prometheus can read, templates included."""
    assert "SUCCESS" in promtool("check", "rules", str(RULES))
    assert "SUCCESS" in promtool("check", "config", str(RULES.parent / "prometheus.yml"))
