"""Spans of the requests that are traced; the others pay for one comparison.

A request is traced when its W3C `traceparent` says so, or, without one, when its prediction's
draw falls below the configured share. The context goes on to the version host inside the batch's
frame, as a string of three words: the traceparent, the role and the prediction id.
"""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import NamedTuple

from opentelemetry import trace
from opentelemetry.context import Context
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.trace import Link, Span, SpanKind, Status, StatusCode
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

from configs.errors import InternalError, WeirError
from monitors.telemetry import names
from serve.recorder.dial import DRAWS
from serve.recorder.samples import Origin

_PROPAGATOR = TraceContextTextMapPropagator()
_SAMPLED_FLAG = 0x01
_TRACEPARENT = re.compile(
    rb"(?:00(?=.{53}$)|(?!00|ff)[0-9a-f]{2})"  # Later versions may have more behind the flags.
    rb"-(?!0{32})[0-9a-f]{32}-(?!0{16})[0-9a-f]{16}-([0-9a-f]{2})(?:-.*)?"
)


class Call(NamedTuple):
    """How a protocol's spans look: their name and attributes, and the status that they end with."""

    span: str
    attributes: Mapping[str, str]
    status_name: str
    status_of: Callable[[WeirError | None], int | str]


@dataclass(frozen=True, slots=True)
class Trace:
    """The open span of one traced request, or of its shadow, which has no `call`."""

    span: Span
    call: Call | None = None
    wire: str | None = None

    def routed(self, origin: Origin, role: str, prediction_id: str) -> Trace:
        """Note which version answers, and as what; gives the trace with the words for its host."""
        self.span.set_attributes(_attributes(origin, role, prediction_id))
        return Trace(self.span, self.call, _wire(self.span, role, prediction_id))

    def fell_back(self, failed: Origin, role: str, error: WeirError) -> None:
        """Note which version has failed, and as what; another is to answer instead."""
        said: dict[str, str | int] = {
            names.VERSION: failed.version,
            names.ARM: role,
            names.ERROR_TYPE: error.code,
        }
        self.span.add_event(names.EVENT_FALLBACK, said)

    def end(self, error: BaseException | None = None) -> None:
        """Close the span with what became of the request."""
        known = error if isinstance(error, WeirError) or error is None else InternalError("")
        if known is not None:
            self.span.set_attribute(names.ERROR_TYPE, known.code)
            if self.call is None or known.status >= 500:
                self.span.set_status(Status(StatusCode.ERROR))
        if self.call is not None:
            self.span.set_attribute(self.call.status_name, self.call.status_of(known))
        self.span.end()


class Tracer:
    """Begins the spans of a gateway replica; without a provider nothing is traced."""

    def __init__(self, provider: TracerProvider | None, share: float) -> None:
        self._tracer = provider.get_tracer("weir") if provider is not None else None
        self._limit = int(share * DRAWS) if provider is not None else 0

    def begin(
        self, call: Call, traceparent: bytes | None, tracestate: bytes, draw: int
    ) -> Trace | None:
        """Open the server span of a request, if it is to be traced."""
        if self._tracer is None:
            return None
        wanted = _is_sampled(traceparent) if traceparent is not None else None
        if wanted is False or (wanted is None and draw >= self._limit):
            return None
        context = Context()
        if wanted and traceparent is not None:
            context = _PROPAGATOR.extract(
                {
                    "traceparent": traceparent.decode("latin-1"),
                    "tracestate": tracestate.decode("latin-1"),
                },
                context,
            )
        span = self._tracer.start_span(
            call.span, context=context, kind=SpanKind.SERVER, attributes=call.attributes
        )
        return Trace(span, call)

    def shadow(self, copied: Trace | None, origin: Origin, prediction_id: str) -> Trace | None:
        """Open the span of a shadow run, in a trace of its own, linked to the copied request."""
        if copied is None or self._tracer is None:
            return None
        span = self._tracer.start_span(
            names.SPAN_SHADOW,
            context=Context(),
            kind=SpanKind.INTERNAL,
            links=[Link(copied.span.get_span_context())],
            attributes=_attributes(origin, origin.role.value, prediction_id),
        )
        return Trace(span, None, _wire(span, origin.role.value, prediction_id))


class RunTracer:
    """Makes the spans of a version host from the trace contexts that come with batches."""

    def __init__(self, provider: TracerProvider | None, model: str, version: int) -> None:
        self._tracer = provider.get_tracer("weir") if provider is not None else None
        self._model = model
        self._version = version

    def ran(self, wires: tuple[str, ...], seconds: float) -> None:
        """Record that the batch of these requests ran just now, for so long."""
        if self._tracer is None:
            return
        end = time.time_ns()
        for wire in wires:
            traceparent, role, prediction_id = wire.split(" ")
            span = self._tracer.start_span(
                names.SPAN_VERSION,
                context=_PROPAGATOR.extract({"traceparent": traceparent}),
                kind=SpanKind.INTERNAL,
                start_time=end - int(seconds * 1e9),
                attributes={
                    names.MODEL: self._model,
                    names.VERSION: self._version,
                    names.ARM: role,
                    names.PREDICTION_ID: prediction_id,
                },
            )
            span.end(end)


def _attributes(origin: Origin, role: str, prediction_id: str) -> dict[str, str | int]:
    return {
        names.MODEL: origin.model,
        names.VERSION: origin.version,
        names.ARM: role,
        names.PREDICTION_ID: prediction_id,
    }


def _wire(span: Span, role: str, prediction_id: str) -> str:
    carrier: dict[str, str] = {}
    _PROPAGATOR.inject(carrier, trace.set_span_in_context(span))
    return f"{carrier['traceparent']} {role} {prediction_id}"


def _is_sampled(traceparent: bytes) -> bool | None:
    """Read the flag byte (W3C Trace Context, section 3.2.2.5); None when it is malformed."""
    found = _TRACEPARENT.fullmatch(traceparent)
    return bool(int(found[1], 16) & _SAMPLED_FLAG) if found is not None else None
