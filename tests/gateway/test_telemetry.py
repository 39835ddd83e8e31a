"""Numbers and spans of a real gateway, as a real Prometheus and an OTLP receiver get them."""

from __future__ import annotations

import secrets
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import httpx
import pytest
from opentelemetry.proto.trace.v1.trace_pb2 import Span

from monitors.telemetry import names
from monitors.telemetry.promql import matches, series
from serve.control.client import ControlClient
from tests.gateway.asking import ask, infer_path, register
from tests.gateway.conftest import QUICK
from tests.gateway.running import Running, running_gateway
from tests.registry import models
from tests.tools.otlp_receiver import Attributes, OtlpReceiver, attributes, receiving
from tests.tools.prometheus import running_prometheus, scrape_config

pytestmark = [pytest.mark.gateway, pytest.mark.deploy]
GOOD, BAD = 37, 5


@dataclass(frozen=True, slots=True)
class Watched:
    """A gateway that exports, and what it exports to."""

    gateway: Running
    receiver: OtlpReceiver
    control: ControlClient


@pytest.fixture(scope="module", params=["grpc", "http"])
def watched(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Watched]:
    """A gateway that exports over each protocol; without a traceparent it traces nothing."""
    protocol: str = request.param
    with receiving() as receiver:
        endpoint = receiver.grpc_endpoint if protocol == "grpc" else receiver.http_endpoint
        telemetry = {
            "otlp_endpoint": endpoint,
            "otlp_protocol": protocol,
            "export_s": 0.5,
            "trace_share": 0.0,
        }
        folder = tmp_path_factory.mktemp("watched")
        with (
            running_gateway(folder, {**QUICK, "telemetry": telemetry}) as gateway,
            ControlClient(gateway.control, "ada") as control,
        ):
            yield Watched(gateway, receiver, control)


def test_every_request_is_counted_once_everywhere(watched: Watched, tmp_path: Path) -> None:
    """Prometheus answers with the number of requests that were sent, and OTLP has the same.

    A body that is no request counts for the port and for no version.
    """
    model = "counted"
    register(watched.control, model, models.regressor())
    watched.control.set_route(model, {1: 100})
    for _ in range(GOOD):
        assert ask(watched.gateway, model, [[1, 2, 3]]).status_code == 200
    for _ in range(BAD):
        assert ask(watched.gateway, model, [[1, 2]]).status_code == 400
        answer = httpx.post(watched.gateway.http + infer_path(model), content=b"{", trust_env=False)
        assert answer.status_code == 400

    of_model = matches(names.MODEL, "=", model)
    answered = matches(names.ERROR_TYPE, "=", "")
    refused = matches(names.ERROR_TYPE, "=", "bad_input")
    target = f"127.0.0.1:{watched.gateway.control_port}"
    with running_prometheus(tmp_path, scrape_config(target)) as prometheus:
        for query, right in (
            (series(names.INFERENCE_DURATION, of_model, part="count"), GOOD + BAD),
            (series(names.INFERENCE_DURATION, of_model, answered, part="count"), GOOD),
            (series(names.REQUEST_DURATION, refused, part="count"), BAD),
        ):
            (sample,) = prometheus.wait_for(f"sum({query}) >= {right}")
            assert sample.value == right

    watched.receiver.wait_for(lambda receiver: sum(_counts(receiver, model)) == GOOD + BAD)
    assert sorted(_counts(watched.receiver, model)) == [BAD, GOOD]


def test_a_sampled_request_is_traced_all_the_way(watched: Watched) -> None:
    """The caller's trace goes on in the gateway and in the version; the shadow's is linked.

    What the caller does not want traced is not; an error is traced with its code.
    """
    model = "traced"
    register(watched.control, model, models.regressor(1.0), models.regressor(2.0))
    watched.control.set_route(model, {1: 100}, shadow=(2, 100))
    unsampled, sampled = secrets.token_hex(16), secrets.token_hex(16)
    parent = secrets.token_hex(8)
    ask(watched.gateway, model, [[0, 0, 0]], traceparent=f"00-{unsampled}-{parent}-00")
    ask(watched.gateway, model, [[0, 0, 0]])
    answer = ask(watched.gateway, model, [[0, 0, 0]], traceparent=f"00-{sampled}-{parent}-01")
    watched.receiver.wait_for(lambda receiver: len(_of(receiver, model)) == 4)

    spans = _of(watched.receiver, model)
    server = _the(spans, lambda span: span.kind == Span.SPAN_KIND_SERVER)
    run = _the(spans, lambda span: _is_run(span, 1))
    shadow = _the(spans, lambda span: span.name == names.SPAN_SHADOW)
    shadow_run = _the(spans, lambda span: _is_run(span, 2))

    assert server.trace_id.hex() == run.trace_id.hex() == sampled
    assert server.parent_span_id.hex() == parent
    assert run.parent_span_id == server.span_id
    (link,) = shadow.links
    assert (link.trace_id, link.span_id) == (server.trace_id, server.span_id)
    assert shadow.trace_id != server.trace_id
    assert (shadow_run.trace_id, shadow_run.parent_span_id) == (shadow.trace_id, shadow.span_id)

    prediction_id = answer.headers["weir-prediction-id"]
    for span, version, arm in (
        (server, 1, "stable"),
        (run, 1, "stable"),
        (shadow, 2, "shadow"),
        (shadow_run, 2, "shadow"),
    ):
        assert _said(model, version, arm, prediction_id) <= attributes(span.attributes)
    assert (names.HTTP_STATUS, 200) in attributes(server.attributes)
    assert unsampled not in {span.trace_id.hex() for span in watched.receiver.spans()}

    refused = secrets.token_hex(16)
    ask(watched.gateway, model, [[0, 0]], traceparent=f"00-{refused}-{parent}-01")
    watched.receiver.wait_for(lambda receiver: len(_of(receiver, model)) == 5)
    (error,) = [s for s in _of(watched.receiver, model) if s.trace_id.hex() == refused]
    said = {(names.HTTP_STATUS, 400), (names.ERROR_TYPE, "bad_tensor")}
    assert said <= attributes(error.attributes)


def _counts(receiver: OtlpReceiver, model: str) -> list[int]:
    """The requests of a model in each of its series, from the latest export."""
    return [
        sum(value[0])
        for (name, pairs), value in receiver.numbers().items()
        if name == names.INFERENCE_DURATION.name
        and (names.MODEL, model) in pairs
        and not isinstance(value, float)
    ]


def _of(receiver: OtlpReceiver, model: str) -> list[Span]:
    return [s for s in receiver.spans() if (names.MODEL, model) in attributes(s.attributes)]


def _the(spans: list[Span], wanted: Callable[[Span], bool]) -> Span:
    (span,) = filter(wanted, spans)
    return span


def _is_run(span: Span, version: int) -> bool:
    return span.name == names.SPAN_VERSION and (names.VERSION, version) in attributes(
        span.attributes
    )


def _said(model: str, version: int, arm: str, prediction_id: str) -> Attributes:
    return frozenset(
        {
            (names.MODEL, model),
            (names.VERSION, version),
            (names.ARM, arm),
            (names.PREDICTION_ID, prediction_id),
        }
    )
