"""The same totals as OTLP metric data, sent by the official exporters."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Literal, cast

from opentelemetry.exporter.otlp.proto.grpc.metric_exporter import (
    OTLPMetricExporter as GrpcExporter,
)
from opentelemetry.exporter.otlp.proto.http.metric_exporter import (
    OTLPMetricExporter as HttpExporter,
)
from opentelemetry.sdk.metrics.export import (
    AggregationTemporality,
    Gauge,
    Histogram,
    HistogramDataPoint,
    MetricExportResult,
    MetricsData,
    NumberDataPoint,
    ResourceMetrics,
    ScopeMetrics,
    Sum,
)
from opentelemetry.sdk.metrics.export import Metric as OtlpMetric
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.util.instrumentation import InstrumentationScope

from monitors.blocks import HistogramCounts
from monitors.telemetry.names import ATTRIBUTES, Kind, Metric
from monitors.telemetry.state import MetricPoints, Point

_CUMULATIVE = AggregationTemporality.CUMULATIVE
_UNKNOWN = cast("float", None)
"""Extremes are optional in the protocol, and bucket counts do not tell them."""

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Span:
    """The time that cumulative counts cover, in nanoseconds since 1970."""

    start_ns: int
    now_ns: int


def metrics_data(
    collected: Iterable[MetricPoints], resource: Mapping[str, str], span: Span
) -> MetricsData:
    """The totals as OTLP metric data of the given resource (`service.name` and so on)."""
    metrics = [_metric(each, span) for each in collected]
    scope = ScopeMetrics(InstrumentationScope("weir"), metrics, schema_url="")
    return MetricsData([ResourceMetrics(Resource(resource), [scope], schema_url="")])


def otlp_url(endpoint: str, protocol: Literal["grpc", "http"], signal: str) -> str:
    """Where a signal (`metrics` or `traces`) goes: over HTTP each has a path of its own."""
    return endpoint if protocol == "grpc" else f"{endpoint.rstrip('/')}/v1/{signal}"


class OtlpExport:
    """Sends totals to an OpenTelemetry receiver, and never disturbs whoever asks it to.

    `export` gives up after about `timeout_s`, attempts to try again included; call it from a thread
    that may wait so long. What fails is counted in `failures` and logged; the next export carries
    everything that this one would have, because counts are cumulative.
    """

    def __init__(
        self, endpoint: str, protocol: Literal["grpc", "http"], timeout_s: float = 5.0
    ) -> None:
        url = otlp_url(endpoint, protocol, "metrics")
        self._exporter: GrpcExporter | HttpExporter
        if protocol == "grpc":
            self._exporter = GrpcExporter(endpoint=url, timeout=timeout_s)
        else:
            self._exporter = HttpExporter(endpoint=url, timeout=timeout_s)
        self.failures = 0

    def export(self, data: MetricsData) -> bool:
        """Send the data; False, and one more in `failures`, if it did not arrive."""
        try:
            arrived = self._exporter.export(data) is MetricExportResult.SUCCESS
        except Exception:  # noqa: BLE001  the network is outside: whatever it does is counted
            _log.warning("the export of metrics over OTLP failed", exc_info=True)
            arrived = False
        self.failures += not arrived
        return arrived

    def close(self) -> None:
        """Close the connection; an export that is under way is given up."""
        self._exporter.shutdown()


def _metric(each: MetricPoints, span: Span) -> OtlpMetric:
    metric = each.metric
    return OtlpMetric(metric.name, metric.description, metric.unit, _data(each, span))


def _data(each: MetricPoints, span: Span) -> Sum | Gauge | Histogram:
    metric = each.metric
    if metric.kind is Kind.HISTOGRAM:
        points = [_histogram_point(metric, point, span) for point in each.points]
        return Histogram(points, _CUMULATIVE)
    numbers = [_number_point(metric, point, span) for point in each.points]
    if metric.kind is Kind.GAUGE:
        return Gauge(numbers)
    return Sum(numbers, _CUMULATIVE, is_monotonic=metric.kind is Kind.COUNTER)


def _number_point(metric: Metric, point: Point, span: Span) -> NumberDataPoint:
    value = cast("int | float", point.value)
    return NumberDataPoint(_attributes(metric, point), span.start_ns, span.now_ns, value)


def _histogram_point(metric: Metric, point: Point, span: Span) -> HistogramDataPoint:
    counts = cast("HistogramCounts", point.value)
    return HistogramDataPoint(
        attributes=_attributes(metric, point),
        start_time_unix_nano=span.start_ns,
        time_unix_nano=span.now_ns,
        count=sum(counts.buckets),
        sum=counts.total,
        bucket_counts=counts.buckets,
        explicit_bounds=metric.bounds,
        min=_UNKNOWN,
        max=_UNKNOWN,
    )


def _attributes(metric: Metric, point: Point) -> dict[str, str | int]:
    """The attributes by name; one without a value is left out, as Prometheus reads it too."""
    return {
        key: int(value) if ATTRIBUTES[key].integer else value
        for key, value in zip(metric.attributes, point.attributes, strict=True)
        if value
    }
