"""Every query of the dashboard is answered by a real Prometheus."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import count
from pathlib import Path

import pytest

from monitors.blocks import Snapshot
from monitors.signal import Signal, Verdict
from monitors.telemetry import names
from monitors.telemetry.promql import series
from monitors.telemetry.signals import signal_gauges
from monitors.telemetry.state import MetricPoints, TelemetryState
from tests.deploy.test_generated import EXPRESSIONS, QUERIES
from tests.monitors.telemetry.example import everything
from tests.tools.metrics_page import serving
from tests.tools.prometheus import Prometheus, running_prometheus, scrape_config

pytestmark = pytest.mark.deploy


def asked(expr: str) -> str:
    """The query as Grafana sends it, for all models and signals."""
    return expr.replace("$__rate_interval", "1m").replace("$model", ".*").replace("$signal", ".*")


@pytest.fixture(scope="module")
def prometheus(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Prometheus]:
    """A Prometheus that has seen every metric grow."""
    state, sequence = TelemetryState(), count(1)
    drifted = Signal("drift", "location", "income", Verdict.ALARM, rows=9, value=0.4)
    signals = signal_gauges("credit", 2, "stable", [drifted])

    def growing() -> tuple[MetricPoints, ...]:
        now = next(sequence)
        state.fold(everything(sequence=now, count=now), now=float(now))
        state.fold(Snapshot("bad", now, counters={("no.such.name", ()): 1}), now=float(now))
        state.fold(Snapshot("statistics", now, gauges=signals), now=float(now))
        return state.collect()

    folder: Path = tmp_path_factory.mktemp("prometheus")
    with (
        serving(growing) as target,
        running_prometheus(folder, scrape_config(target, "1s")) as running,
    ):
        running.wait_for(f"rate({series(names.SAMPLES)}[1m]) > 0")
        yield running


@pytest.mark.parametrize("name", QUERIES)
def test_a_dashboard_query_is_answered(prometheus: Prometheus, name: str) -> None:
    """With traffic, no panel of the dashboard stays empty."""
    assert prometheus.wait_for(asked(QUERIES[name]))


@pytest.mark.parametrize("name", EXPRESSIONS)
def test_an_expression_is_understood(prometheus: Prometheus, name: str) -> None:
    """Prometheus refuses none of the expressions, whatever it answers."""
    prometheus.query(asked(EXPRESSIONS[name]))


def test_the_verdict_panel_shows_the_alarm(prometheus: Prometheus) -> None:
    """The code that the panel turns into words is that of the verdict which holds."""
    query = asked(QUERIES["Signal: $signal/Verdict/0"])
    assert [sample.value for sample in prometheus.wait_for(query)] == [
        list(Verdict).index(Verdict.ALARM)
    ]
