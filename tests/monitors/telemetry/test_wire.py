"""The Prometheus page and OTLP tell the same, to receivers that are not ours."""

from __future__ import annotations

import socket
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Literal

import pytest
from hypothesis import given, settings
from opentelemetry.exporter.otlp.proto.common.metrics_encoder import encode_metrics
from opentelemetry.exporter.prometheus import PrometheusMetricReader
from opentelemetry.sdk.metrics import MeterProvider
from prometheus_client import REGISTRY, Metric
from prometheus_client.openmetrics.parser import (
    text_string_to_metric_families as parse_openmetrics,
)
from prometheus_client.parser import text_string_to_metric_families as parse_text

from monitors.blocks import HistogramCounts, Snapshot
from monitors.telemetry import names
from monitors.telemetry.names import Kind
from monitors.telemetry.otlp import OtlpExport, Span, metrics_data, otlp_url
from monitors.telemetry.prometheus import page, prometheus_label, prometheus_name
from monitors.telemetry.state import MetricPoints, TelemetryState
from tests.monitors.telemetry.example import any_snapshot, everything, series_of
from tests.tools.metrics_page import serving
from tests.tools.otlp_receiver import Attributes, Histogram, OtlpReceiver, otlp_receiver
from tests.tools.prometheus import running_prometheus, scrape_config

__all__ = ["otlp_receiver"]

SPAN = Span(start_ns=1, now_ns=2)
OPENMETRICS = "application/openmetrics-text; version=1.0.0"
Numbers = dict[tuple[str, Attributes], float | Histogram]


def collected(*snapshots: Snapshot) -> tuple[MetricPoints, ...]:
    """What a fresh state collects after these snapshots."""
    state = TelemetryState()
    for snapshot in snapshots:
        state.fold(snapshot, now=0.0)
    return state.collect()


def parsed(text: bytes, openmetrics: bool) -> dict[str, Metric]:
    """The families of a page, by the name that `prometheus_name` gives."""
    parse = parse_openmetrics if openmetrics else parse_text
    families = list(parse(text.decode()))
    return {f.name + "_total" * (f.type == "counter"): f for f in families}


def page_numbers(families: dict[str, Metric]) -> Numbers:
    """Every series of a page under its OpenTelemetry names, buckets no longer cumulated."""
    found: Numbers = {}
    for metric in names.METRICS.values():
        family = families.get(prometheus_name(metric))
        labels = {prometheus_label(name): name for name in metric.attributes}
        uppers: dict[Attributes, list[float]] = {}
        for sample in family.samples if family else ():
            key = frozenset(
                (labels[label], int(v) if names.ATTRIBUTES[labels[label]].integer else v)
                for label, v in sample.labels.items()
                if v and label != "le"
            )
            if metric.kind is not Kind.HISTOGRAM:
                found[metric.name, key] = sample.value
            elif sample.name.endswith("_bucket"):
                uppers.setdefault(key, []).append(sample.value)
            elif sample.name.endswith("_sum"):
                below = [0.0, *uppers[key]]
                steps = zip(below[1:], below, strict=False)
                found[metric.name, key] = (tuple(int(a - b) for a, b in steps), sample.value)
    return found


@pytest.mark.parametrize("openmetrics", [False, True], ids=["text", "openmetrics"])
@settings(max_examples=40)
@given(snapshot=any_snapshot())
def test_the_page_and_otlp_tell_the_same_numbers(snapshot: Snapshot, openmetrics: bool) -> None:
    """Whatever was counted, decoded OTLP and the parsed page agree on every series."""
    points = collected(snapshot)
    text, _ = page(points, OPENMETRICS if openmetrics else "")
    receiver = OtlpReceiver(metrics=[encode_metrics(metrics_data(points, {}, SPAN))])
    assert page_numbers(parsed(text, openmetrics)) == receiver.numbers()


def test_the_accept_header_chooses_the_format() -> None:
    """OpenMetrics goes to those who ask for it, with units; everybody else gets plain text."""
    points = collected(everything())
    text, plain = page(points, "*/*")
    asked, content_type = page(points, OPENMETRICS)
    assert plain.startswith("text/plain")
    assert content_type.startswith("application/openmetrics-text")
    assert not text.endswith(b"# EOF\n")
    assert asked.endswith(b"# EOF\n")
    assert b"# UNIT weir_inference_duration_seconds seconds\n" in asked


def test_names_are_those_of_the_official_exporter() -> None:
    """Our translation gives the names that OpenTelemetry's own Prometheus exporter gives."""
    reader = PrometheusMetricReader()
    provider = MeterProvider([reader])
    try:
        meter = provider.get_meter("weir")
        make = {
            Kind.COUNTER: lambda m: meter.create_counter(m.name, m.unit).add(1),
            Kind.UP_DOWN_COUNTER: lambda m: meter.create_up_down_counter(m.name, m.unit).add(1),
            Kind.GAUGE: lambda m: meter.create_gauge(m.name, m.unit).set(1),
            Kind.HISTOGRAM: lambda m: meter.create_histogram(m.name, m.unit).record(1),
        }
        for metric in names.METRICS.values():
            make[metric.kind](metric)
        theirs = {f.name + "_total" * (f.type == "counter") for f in REGISTRY.collect()}
    finally:
        provider.shutdown()
    assert {prometheus_name(metric) for metric in names.METRICS.values()} <= theirs


def test_a_gauge_of_unit_one_is_a_ratio() -> None:
    """The specification's suffix for dimensionless gauges, which counters of states do not take."""
    ratio = names.Metric("weir.share", Kind.GAUGE, "1", (), "A share.")
    assert prometheus_name(ratio) == "weir_share_ratio"
    assert prometheus_name(names.SIGNAL_STATE) == "weir_signal_state"


@pytest.mark.parametrize("protocol", ["grpc", "http"])
def test_a_real_receiver_gets_what_the_page_shows(
    otlp_receiver: OtlpReceiver, protocol: Literal["grpc", "http"]
) -> None:
    """The official exporters carry every metric to a receiver on the official service."""
    points = collected(everything("a"), everything("b", count=7))
    endpoint = otlp_receiver.grpc_endpoint if protocol == "grpc" else otlp_receiver.http_endpoint
    export = OtlpExport(endpoint, protocol)
    try:
        assert export.export(metrics_data(points, {"service.name": "weir"}, SPAN))
    finally:
        export.close()

    text, _ = page(points)
    assert otlp_receiver.numbers() == page_numbers(parsed(text, openmetrics=False))
    (resource,) = otlp_receiver.metrics[0].resource_metrics
    assert resource.resource.attributes[0].value.string_value == "weir"
    assert export.failures == 0


def test_otlp_says_what_kind_each_metric_is() -> None:
    """Counters are monotonic sums, state counters plain sums, and all sums are cumulative."""
    request = encode_metrics(metrics_data(collected(everything()), {}, SPAN))
    metrics = {m.name: m for m in request.resource_metrics[0].scope_metrics[0].metrics}
    state, samples = metrics[names.SIGNAL_STATE.name], metrics[names.SAMPLES.name]
    duration = metrics[names.INFERENCE_DURATION.name]
    assert (samples.sum.is_monotonic, state.sum.is_monotonic) == (True, False)
    assert samples.sum.aggregation_temporality == 2
    assert metrics[names.MONITOR_LAG.name].WhichOneof("data") == "gauge"
    assert (duration.unit, duration.histogram.data_points[0].count) == ("s", 51)
    assert not duration.histogram.data_points[0].HasField("min")
    assert duration.histogram.data_points[0].start_time_unix_nano == SPAN.start_ns


@contextmanager
def mute_server() -> Iterator[int]:
    """A port that takes connections and never answers."""
    with socket.create_server(("127.0.0.1", 0)) as listening:
        yield listening.getsockname()[1]


@pytest.mark.parametrize("protocol", ["grpc", "http"])
@pytest.mark.parametrize("answer", ["refused", "mute"])
def test_a_receiver_that_fails_costs_bounded_time_and_is_counted(
    protocol: Literal["grpc", "http"], answer: str
) -> None:
    """A receiver that is gone or hangs raises nothing, and is given up after the time-out."""
    data = metrics_data(collected(everything()), {}, SPAN)
    with mute_server() as port:
        closed = answer == "refused"
        export = OtlpExport(f"http://127.0.0.1:{1 if closed else port}", protocol, timeout_s=0.5)
        began = time.monotonic()
        assert not export.export(data)
        assert time.monotonic() - began < 10.0
        assert export.failures == 1
        export.close()


def test_each_signal_has_its_own_path_over_http() -> None:
    """The base address is all that is configured; gRPC needs no path."""
    assert otlp_url("http://c:4318/", "http", "traces") == "http://c:4318/v1/traces"
    assert otlp_url("http://c:4317", "grpc", "metrics") == "http://c:4317"


@pytest.mark.deploy
def test_a_real_prometheus_reads_the_page(tmp_path: Path) -> None:
    """Prometheus scrapes the page and answers PromQL with the numbers that were counted."""
    points = collected(everything("a"), everything("b", count=7))
    ready = prometheus_name(names.VERSION_READY)
    requests = prometheus_name(names.INFERENCE_DURATION) + "_count"
    with (
        serving(lambda: points) as target,
        running_prometheus(tmp_path, scrape_config(target)) as server,
    ):
        (sample,) = server.wait_for(f'{ready}{{weir_model_name="credit"}}')
        (count,) = server.wait_for(f"sum by (weir_model_version) ({requests})")
    assert sample.value == 2.5
    assert (count.labels, count.value) == ({"weir_model_version": "2"}, 170)


def test_series_are_sorted_so_that_pages_can_be_compared() -> None:
    """The same counts give the same bytes, in whatever order they arrived."""
    first, second = (
        Snapshot(source, 1, counters={series_of(names.SAMPLES, weir_model_name=source): 1})
        for source in "ab"
    )
    assert page(collected(first, second)) == page(collected(second, first))


def test_a_histogram_of_nothing_is_shown() -> None:
    """A series that has counted nothing yet is there with zeros, as rates need it."""
    empty = HistogramCounts((0,) * 17, 0.0)
    snapshot = Snapshot("a", 1, histograms={series_of(names.INFERENCE_DURATION): empty})
    text, _ = page(collected(snapshot))
    assert b"weir_inference_duration_seconds_count{" in text
