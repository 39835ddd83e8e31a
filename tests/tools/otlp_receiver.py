"""An OTLP receiver, over gRPC and HTTP, built on the official protobuf services."""

from __future__ import annotations

import gzip
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import grpc
import pytest
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import (
    ExportMetricsServiceRequest,
    ExportMetricsServiceResponse,
)
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2_grpc import (
    MetricsServiceServicer,
    add_MetricsServiceServicer_to_server,
)
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import (
    ExportTraceServiceRequest,
    ExportTraceServiceResponse,
)
from opentelemetry.proto.collector.trace.v1.trace_service_pb2_grpc import (
    TraceServiceServicer,
    add_TraceServiceServicer_to_server,
)
from opentelemetry.proto.common.v1.common_pb2 import KeyValue
from opentelemetry.proto.metrics.v1.metrics_pb2 import HistogramDataPoint, NumberDataPoint
from opentelemetry.proto.trace.v1.trace_pb2 import Span

Attributes = frozenset[tuple[str, str | int]]
Histogram = tuple[tuple[int, ...], float]
"""Counts of the buckets, not cumulated, and the sum."""


@dataclass(slots=True)
class OtlpReceiver:
    """What has arrived so far, and where to send more."""

    grpc_endpoint: str = ""
    http_endpoint: str = ""
    metrics: list[ExportMetricsServiceRequest] = field(default_factory=list)
    traces: list[ExportTraceServiceRequest] = field(default_factory=list)

    def numbers(self) -> dict[tuple[str, Attributes], float | Histogram]:
        """Every series of the latest metrics request, by name and attributes."""
        found: dict[tuple[str, Attributes], float | Histogram] = {}
        for resource in self.metrics[-1].resource_metrics if self.metrics else ():
            for scope in resource.scope_metrics:
                for metric in scope.metrics:
                    data = getattr(metric, str(metric.WhichOneof("data")))
                    for point in data.data_points:
                        found[metric.name, attributes(point.attributes)] = _value(point)
        return found

    def spans(self) -> list[Span]:
        """Every span that has arrived, in the order of arrival."""
        return [
            span
            for request in list(self.traces)
            for resource in request.resource_spans
            for scope in resource.scope_spans
            for span in scope.spans
        ]

    def wait_for(self, condition: Callable[[OtlpReceiver], bool], deadline_s: float = 10.0) -> None:
        """Return as soon as the condition holds; `TimeoutError` if it does not in time."""
        end = time.monotonic() + deadline_s
        while not condition(self):
            if time.monotonic() > end:
                message = f"not within {deadline_s} s; {len(self.metrics)} metric requests came"
                raise TimeoutError(message)
            time.sleep(0.02)


def attributes(pairs: Iterable[KeyValue]) -> Attributes:
    """The attributes of a data point or span as plain values."""
    return frozenset(
        (pair.key, getattr(pair.value, str(pair.value.WhichOneof("value")))) for pair in pairs
    )


def _value(point: NumberDataPoint | HistogramDataPoint) -> float | Histogram:
    if isinstance(point, HistogramDataPoint):
        return tuple(point.bucket_counts), point.sum
    return float(getattr(point, str(point.WhichOneof("value"))))


class _Metrics(MetricsServiceServicer):
    def __init__(self, receiver: OtlpReceiver) -> None:
        self._receiver = receiver

    def Export(  # noqa: N802  the service names it so
        self, request: ExportMetricsServiceRequest, _context: grpc.ServicerContext
    ) -> ExportMetricsServiceResponse:
        self._receiver.metrics.append(request)
        return ExportMetricsServiceResponse()


class _Traces(TraceServiceServicer):
    def __init__(self, receiver: OtlpReceiver) -> None:
        self._receiver = receiver

    def Export(  # noqa: N802  the service names it so
        self, request: ExportTraceServiceRequest, _context: grpc.ServicerContext
    ) -> ExportTraceServiceResponse:
        self._receiver.traces.append(request)
        return ExportTraceServiceResponse()


class _HttpServer(ThreadingHTTPServer):
    """OTLP over HTTP with binary protobuf bodies."""

    daemon_threads = True

    def __init__(self, receiver: OtlpReceiver) -> None:
        super().__init__(("127.0.0.1", 0), _HttpHandler)
        self.receiver = receiver


class _HttpHandler(BaseHTTPRequestHandler):
    server: _HttpServer

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        if self.headers.get("Content-Encoding") == "gzip":
            body = gzip.decompress(body)
        if self.path == "/v1/metrics":
            self.server.receiver.metrics.append(ExportMetricsServiceRequest.FromString(body))
            self._answer(200, ExportMetricsServiceResponse().SerializeToString())
        elif self.path == "/v1/traces":
            self.server.receiver.traces.append(ExportTraceServiceRequest.FromString(body))
            self._answer(200, ExportTraceServiceResponse().SerializeToString())
        else:
            self._answer(404, b"")

    def _answer(self, status: int, body: bytes) -> None:
        self.send_response(status)
        self.send_header("Content-Type", "application/x-protobuf")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002  the base class's name
        pass


@contextmanager
def receiving() -> Iterator[OtlpReceiver]:
    """A receiver that listens on loopback, over gRPC and HTTP, while the block runs."""
    receiver = OtlpReceiver()
    server = grpc.server(ThreadPoolExecutor(max_workers=2))
    add_MetricsServiceServicer_to_server(_Metrics(receiver), server)  # type: ignore[no-untyped-call]
    add_TraceServiceServicer_to_server(_Traces(receiver), server)  # type: ignore[no-untyped-call]
    receiver.grpc_endpoint = f"http://127.0.0.1:{server.add_insecure_port('127.0.0.1:0')}"
    server.start()
    with _HttpServer(receiver) as web:
        receiver.http_endpoint = f"http://127.0.0.1:{web.server_port}"
        thread = threading.Thread(target=web.serve_forever, kwargs={"poll_interval": 0.05})
        thread.start()
        yield receiver
        web.shutdown()
        thread.join()
    server.stop(grace=0).wait()


@pytest.fixture
def otlp_receiver() -> Iterator[OtlpReceiver]:
    """A receiver of the test's own."""
    with receiving() as receiver:
        yield receiver
