"""The registry keeps to the conventions that it names."""

from __future__ import annotations

import re

import pytest
from opentelemetry.semconv._incubating.metrics import rpc_metrics
from opentelemetry.semconv.attributes import error_attributes, http_attributes
from opentelemetry.semconv.metrics import http_metrics

from monitors.telemetry import names
from monitors.telemetry.names import Kind, Metric

EVERY_METRIC = pytest.mark.parametrize("metric", names.METRICS.values(), ids=names.METRICS)
_CONVENTIONS = (http_metrics.HTTP_SERVER_REQUEST_DURATION, rpc_metrics.RPC_SERVER_CALL_DURATION)


@EVERY_METRIC
def test_a_name_has_our_prefix_or_is_a_stable_convention(metric: Metric) -> None:
    """Names of our own begin with `weir.`; the only others are the conventions'."""
    if metric.name not in _CONVENTIONS:
        assert re.fullmatch(r"weir(\.[a-z]+)+", metric.name)


@EVERY_METRIC
def test_a_metric_knows_its_attributes(metric: Metric) -> None:
    """Every attribute of a metric is described, once, and none names a single prediction."""
    assert set(metric.attributes) <= names.ATTRIBUTES.keys() - {names.PREDICTION_ID}
    assert len(set(metric.attributes)) == len(metric.attributes)


@EVERY_METRIC
def test_bounds_belong_to_histograms(metric: Metric) -> None:
    """Histograms have bounds in ascending order, and nothing else has any."""
    assert bool(metric.bounds) == (metric.kind is Kind.HISTOGRAM)
    assert list(metric.bounds) == sorted(set(metric.bounds))


@EVERY_METRIC
def test_a_description_is_a_sentence(metric: Metric) -> None:
    """Each metric says what it is in one sentence."""
    assert re.fullmatch(r"[A-Z0-9].*\.", metric.description)


def test_the_http_names_are_those_of_the_convention() -> None:
    """What OpenTelemetry has a stable name for is called by it."""
    assert (names.HTTP_METHOD, names.HTTP_ROUTE, names.HTTP_STATUS, names.ERROR_TYPE) == (
        http_attributes.HTTP_REQUEST_METHOD,
        http_attributes.HTTP_ROUTE,
        http_attributes.HTTP_RESPONSE_STATUS_CODE,
        error_attributes.ERROR_TYPE,
    )


def test_inference_is_measured_from_a_tenth_of_a_millisecond_to_ten_seconds() -> None:
    """The bounds cover what a small model takes and what a client waits for."""
    bounds = names.INFERENCE_DURATION.bounds
    assert (bounds[0], bounds[-1], len(bounds)) == (0.0001, 10.0, 16)
