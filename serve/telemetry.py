"""The tracer provider of a process: where its spans go."""

from __future__ import annotations

from importlib.metadata import version

from opentelemetry.exporter.otlp.proto.grpc.trace_exporter import (
    OTLPSpanExporter as GrpcSpanExporter,
)
from opentelemetry.exporter.otlp.proto.http.trace_exporter import (
    OTLPSpanExporter as HttpSpanExporter,
)
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor, SpanExporter
from opentelemetry.sdk.trace.sampling import ALWAYS_ON

from configs.settings import Telemetry
from monitors.telemetry.otlp import otlp_url

_EXPORT_TIMEOUT_S = 5
_DELAY_MS = 1000


def tracer_provider(settings: Telemetry, instance: str) -> TracerProvider | None:
    """Give the provider of a process, or None when no OTLP endpoint is configured.

    Which requests are traced is decided before a span begins, so every span is recorded.
    """
    if settings.otlp_endpoint is None:
        return None
    url = otlp_url(settings.otlp_endpoint, settings.otlp_protocol, "traces")
    exporter: SpanExporter
    if settings.otlp_protocol == "grpc":
        insecure = not url.startswith("https://")
        exporter = GrpcSpanExporter(endpoint=url, insecure=insecure, timeout=_EXPORT_TIMEOUT_S)
    else:
        exporter = HttpSpanExporter(endpoint=url, timeout=_EXPORT_TIMEOUT_S)
    resource = Resource.create(
        {
            "service.name": "weir",
            "service.version": version("weir-gateway"),
            "service.instance.id": instance,
        }
    )
    provider = TracerProvider(sampler=ALWAYS_ON, resource=resource)
    provider.add_span_processor(BatchSpanProcessor(exporter, schedule_delay_millis=_DELAY_MS))
    return provider
