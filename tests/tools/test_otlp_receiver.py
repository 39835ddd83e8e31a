"""The receiver takes spans from the official exporters."""

from __future__ import annotations

import pytest
from opentelemetry.exporter.otlp.proto.grpc.trace_exporter import OTLPSpanExporter as GrpcExporter
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter as HttpExporter
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor

from monitors.telemetry.otlp import otlp_url
from tests.tools.otlp_receiver import OtlpReceiver, attributes, otlp_receiver

__all__ = ["otlp_receiver"]


@pytest.mark.parametrize("protocol", ["grpc", "http"])
def test_spans_arrive_with_their_attributes(otlp_receiver: OtlpReceiver, protocol: str) -> None:
    """A span that is sent over either protocol is found among the spans."""
    exporter: GrpcExporter | HttpExporter
    if protocol == "grpc":
        exporter = GrpcExporter(otlp_receiver.grpc_endpoint, timeout=30)
    else:
        exporter = HttpExporter(otlp_url(otlp_receiver.http_endpoint, "http", "traces"), timeout=30)
    provider = TracerProvider(shutdown_on_exit=False)
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    provider.get_tracer("test").start_span("one", attributes={"a": 1}).end()
    otlp_receiver.wait_for(lambda receiver: len(receiver.spans()) == 1, 60.0)
    provider.shutdown()

    (span,) = otlp_receiver.spans()
    assert span.name == "one"
    assert dict(attributes(span.attributes)) == {"a": 1}


def test_waiting_ends(otlp_receiver: OtlpReceiver) -> None:
    """Whoever waits for what never comes is told so."""
    with pytest.raises(TimeoutError, match="not within"):
        otlp_receiver.wait_for(lambda receiver: bool(receiver.traces), deadline_s=0.05)
