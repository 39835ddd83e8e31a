"""Traces: who is traced, what spans say, and how they hang together across processes."""

from __future__ import annotations

import numpy as np
import pytest
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.trace import SpanKind, StatusCode

from configs.errors import BadInput, NotReady, Unavailable, WeirError
from configs.settings import Shadow as ShadowSettings
from monitors.telemetry import names
from registry.records import Role
from serve.recorder.dial import DRAWS
from serve.recorder.samples import Origin
from serve.shadow import Copy, ShadowQueue, Target
from serve.traces import Call, RunTracer, Trace, Tracer
from tests.serve.models.carriers import Answering, batcher
from tests.serve.recorder.sampling import recorder
from tests.serve.versions import MODEL, REGRESSOR
from tests.serve.waiting import until

TRACE = "0af7651916cd43dd8448eb211c80319c"
PARENT = "b7ad6b7169203331"
SAMPLED = f"00-{TRACE}-{PARENT}-01".encode()
UNSAMPLED = f"00-{TRACE}-{PARENT}-00".encode()
ROUTE = "/v2/models/{model}/infer"
CALL = Call(
    f"POST {ROUTE}",
    {names.HTTP_METHOD: "POST", names.HTTP_ROUTE: ROUTE},
    names.HTTP_STATUS,
    lambda error: 200 if error is None else error.status,
)
STABLE = Origin(MODEL, 1, Role.STABLE, REGRESSOR)
SHADOW = Origin(MODEL, 2, Role.SHADOW, REGRESSOR)
ID = "f" * 32
ALWAYS, NEVER = 0, DRAWS - 1


class Spans:
    """A provider that keeps its spans in memory."""

    def __init__(self) -> None:
        self._exporter = InMemorySpanExporter()
        self.provider = TracerProvider(shutdown_on_exit=False)
        self.provider.add_span_processor(SimpleSpanProcessor(self._exporter))

    def finished(self) -> dict[str, ReadableSpan]:
        """The spans that have ended, by name."""
        return {span.name: span for span in self._exporter.get_finished_spans()}


@pytest.fixture
def spans() -> Spans:
    """A provider of its own for each test."""
    return Spans()


def begin(
    tracer: Tracer, traceparent: bytes | None = None, draw: int = ALWAYS, tracestate: bytes = b""
) -> Trace | None:
    """Begin the span of a request."""
    return tracer.begin(CALL, traceparent, tracestate, draw)


@pytest.mark.parametrize(
    ("traceparent", "draw", "traced"),
    [
        pytest.param(SAMPLED, NEVER, True, id="parent-says-yes"),
        pytest.param(UNSAMPLED, ALWAYS, False, id="parent-says-no"),
        pytest.param(SAMPLED[:-2] + b"03", NEVER, True, id="further-flags"),
        pytest.param(b"cc" + SAMPLED[2:] + b"-later", NEVER, True, id="a-later-version"),
        pytest.param(None, DRAWS // 4 - 1, True, id="within-the-share"),
        pytest.param(None, DRAWS // 4, False, id="beyond-the-share"),
    ],
)
def test_who_is_traced(spans: Spans, traceparent: bytes | None, draw: int, traced: bool) -> None:
    """The parent decides; without one, the draw of the prediction and the configured share."""
    assert (begin(Tracer(spans.provider, 0.25), traceparent, draw) is not None) is traced


@pytest.mark.parametrize(
    "malformed",
    [
        *(b"", b"garbage", b"----", b"00-a-b-00", b"00-a-b-01", b"00-1-2-zz", b"\xff\xfe-a-b-01"),
        *(b"00-" + b"0" * 32 + SAMPLED[35:], b"ff" + SAMPLED[2:], SAMPLED[:-1], UNSAMPLED + b"0"),
        b"00-" + b"0" * 32 + UNSAMPLED[35:],
    ],
)
def test_a_malformed_parent_counts_as_none(spans: Spans, malformed: bytes) -> None:
    """What is no `traceparent` neither forces a trace nor prevents one: the share decides."""
    tracer = Tracer(spans.provider, 0.5)

    assert begin(tracer, malformed, NEVER) is None
    trace = begin(tracer, malformed, ALWAYS)
    assert trace is not None
    trace.end()
    (span,) = spans.finished().values()
    assert span.parent is None


def test_nothing_is_traced_without_a_provider() -> None:
    """When no endpoint is configured even a sampled parent costs nothing."""
    tracer = Tracer(None, 1.0)

    assert begin(tracer, SAMPLED) is None
    assert tracer.shadow(None, SHADOW, ID) is None
    RunTracer(None, MODEL, 1).ran(("x",), 0.1)


def test_the_span_of_a_request(spans: Spans) -> None:
    """A server span continues the caller's trace and says what was asked and who answered."""
    trace = begin(Tracer(spans.provider, 0.0), SAMPLED, tracestate=b"vendor=1")
    assert trace is not None
    trace.routed(STABLE, STABLE.role, ID).end()

    span = spans.finished()[f"POST {ROUTE}"]
    assert span.kind is SpanKind.SERVER
    assert span.parent is not None
    assert (f"{span.parent.trace_id:032x}", f"{span.parent.span_id:016x}") == (TRACE, PARENT)
    assert span.context.trace_state.get("vendor") == "1"
    assert dict(span.attributes or {}) == {
        names.HTTP_METHOD: "POST",
        names.HTTP_ROUTE: ROUTE,
        names.HTTP_STATUS: 200,
        names.MODEL: MODEL,
        names.VERSION: 1,
        names.ARM: "stable",
        names.PREDICTION_ID: ID,
    }
    assert span.status.status_code is StatusCode.UNSET


@pytest.mark.parametrize(
    ("error", "is_error"), [(BadInput("no"), False), (Unavailable("not now"), True)]
)
def test_errors_on_a_span(spans: Spans, error: WeirError, is_error: bool) -> None:
    """A server span is an error from 500 up; its code is there from 400 up."""
    trace = begin(Tracer(spans.provider, 1.0))
    assert trace is not None
    trace.end(error)

    (span,) = spans.finished().values()
    assert (span.attributes or {})[names.ERROR_TYPE] == error.code
    assert (span.attributes or {})[names.HTTP_STATUS] == error.status
    assert (span.status.status_code is StatusCode.ERROR) is is_error


def test_the_hosts_span_is_a_child_of_the_request(spans: Spans) -> None:
    """The words in the frame make the run a child of the server span, in another process too."""
    elsewhere = Spans()
    trace = begin(Tracer(spans.provider, 1.0))
    assert trace is not None
    routed = trace.routed(STABLE, STABLE.role, ID)
    assert routed.wire is not None

    RunTracer(elsewhere.provider, MODEL, 1).ran((routed.wire,), 0.25)
    routed.end()

    server, run = spans.finished()[f"POST {ROUTE}"], elsewhere.finished()[names.SPAN_VERSION]
    assert run.context.trace_id == server.context.trace_id
    assert run.parent is not None
    assert run.parent.span_id == server.context.span_id
    assert (run.end_time or 0) - (run.start_time or 0) == 250_000_000
    assert dict(run.attributes or {}) == {
        names.MODEL: MODEL,
        names.VERSION: 1,
        names.ARM: "stable",
        names.PREDICTION_ID: ID,
    }


def test_each_traced_request_of_a_batch_has_a_run(spans: Spans) -> None:
    """A batch of several traced requests makes one run in each of their traces."""
    tracer = Tracer(spans.provider, 1.0)
    wires = []
    for number in range(3):
        trace = begin(tracer)
        assert trace is not None
        wires.append(trace.routed(STABLE, STABLE.role, f"{number:032x}").wire or "")

    elsewhere = Spans()
    RunTracer(elsewhere.provider, MODEL, 1).ran(tuple(wires), 0.1)

    runs = elsewhere._exporter.get_finished_spans()
    assert {(run.attributes or {})[names.PREDICTION_ID] for run in runs} == {
        f"{number:032x}" for number in range(3)
    }
    assert len({run.context.trace_id for run in runs}) == 3


def test_a_shadows_span_is_linked(spans: Spans) -> None:
    """A shadow's run is a trace of its own, with a link to the request that it copies."""
    tracer = Tracer(spans.provider, 1.0)
    copied = begin(tracer, SAMPLED)
    assert copied is not None
    shadow = tracer.shadow(copied, SHADOW, ID)
    assert shadow is not None
    RunTracer(spans.provider, MODEL, 2).ran((shadow.wire or "",), 0.1)
    shadow.end()
    copied.end()

    found = spans.finished()
    span, request, run = found[names.SPAN_SHADOW], found[f"POST {ROUTE}"], found[names.SPAN_VERSION]
    assert [link.context.span_id for link in span.links] == [request.context.span_id]
    assert span.context.trace_id != request.context.trace_id
    assert span.parent is None
    assert run.parent is not None
    assert run.parent.span_id == span.context.span_id
    assert (run.attributes or {})[names.ARM] == "shadow"


def test_untraced_requests_make_no_shadow_span(spans: Spans) -> None:
    """A shadow is traced when the request that it copies is."""
    assert Tracer(spans.provider, 1.0).shadow(None, SHADOW, ID) is None
    assert spans.finished() == {}


@pytest.mark.parametrize("fails", [False, True], ids=["answered", "refused"])
async def test_every_shadow_span_ends(spans: Spans, fails: bool) -> None:
    """A shadow's span ends with its run, and bears the error's code when there was one."""
    tracer, records, gathers = Tracer(spans.provider, 1.0), recorder(), batcher()
    if fails:
        gathers.close(NotReady("gone"))
    else:
        Answering(gathers)
    queue = ShadowQueue(ShadowSettings(flush_s=0.001), records.counts, tracer, 30.0)
    target = Target(gathers, records.arm(SHADOW), lambda: False)
    copied = begin(tracer)

    queue.offer(target, Copy(ID, 0, 1, (np.ones((1, 3), np.float32),), {}, copied))
    await until(lambda: names.SPAN_SHADOW in spans.finished(), "the shadow's span has ended")

    attributes = spans.finished()[names.SPAN_SHADOW].attributes or {}
    assert attributes.get(names.ERROR_TYPE) == ("not_ready" if fails else None)
    assert names.HTTP_STATUS not in attributes


def test_a_fallback_is_told_of_on_the_span(spans: Spans) -> None:
    """The span names the version that answered, and has an event for the one that failed."""
    trace = begin(Tracer(spans.provider, 1.0))
    assert trace is not None
    canary = Origin(MODEL, 2, Role.CANARY, REGRESSOR)
    asked = trace.routed(canary, "canary", ID)

    asked.fell_back(canary, "canary", Unavailable("no"))
    answers = asked.routed(STABLE, "stable", ID)

    assert answers.wire is not None
    assert answers.wire.split(" ")[1:] == ["stable", ID]
    answers.end()
    (span,) = spans.finished().values()
    attributes = span.attributes or {}
    assert (attributes[names.VERSION], attributes[names.ARM]) == (1, "stable")
    (event,) = span.events
    assert event.name == names.EVENT_FALLBACK
    assert event.attributes == {
        names.VERSION: 2,
        names.ARM: "canary",
        names.ERROR_TYPE: "unavailable",
    }
