"""What callers and owners keep to themselves gets nowhere, whatever is asked of the gateway."""

from __future__ import annotations

import re
import socket
import ssl
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from monitors.telemetry import names
from serve.node.logs import log_path
from tests.gateway.asking import tensor
from tests.security import asks
from tests.security.planted import ELSEWHERE, Planted, Told, planted
from tests.tools.otlp_receiver import attributes

pytestmark = pytest.mark.gateway

_OWN_WORDS = "a model's own words"
_STATE = "the state of the trace"
_STATUSES = {400, 401, 403, 404, 405, 413, 415, 422, 500, 504}
_GRPC_STATUSES = {
    "INVALID_ARGUMENT",
    "UNAUTHENTICATED",
    "PERMISSION_DENIED",
    "NOT_FOUND",
    "INTERNAL",
    "DEADLINE_EXCEEDED",
}
_INSIDES = re.compile(
    r"(?<![\w.{}])/(?!v1|v2|docs)[\w.-]+/[\w./-]+"  # a path, but not one of a route
    r"|\.(?:py|cc|h|onnx|db|sock)\b"
    r"|Traceback|line \d+, in"
    r"|\b(?:serve|registry|monitors|configs|ray|starlette|pydantic|onnxruntime)\.\w"
    r"|\w::\w|<class|\b[A-Z]\w+(?:Error|Exception)\b|\bActor"
    r"|0x[0-9a-fA-F]{6,}|\b[0-9a-f]{24,}\b"
)
_REQUEST_ID = re.compile("[0-9a-f]{32}")


@pytest.fixture(scope="module")
def asked(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Planted]:
    """A gateway of which everything has been asked, and which has exported what it knows."""
    with planted(tmp_path_factory.mktemp("leaks")) as found:
        asks.all_of(found)
        last = found.ask(asks.INFER.format("numbers"), {"inputs": [tensor([[1, 2, 3]])]})
        found.receiver.wait_for(lambda _: last.prediction_id in _predictions(found), 60.0)
        exported = len(found.receiver.metrics)
        found.receiver.wait_for(lambda receiver: len(receiver.metrics) >= exported + 2, 60.0)
        yield found


def test_enough_was_asked(asked: Planted) -> None:
    """At least twenty canaries were planted, and answers of every kind were given."""
    statuses = Counter(told.status for told in asked.told)
    assert len(asked.canaries) >= 20
    assert {status for status in statuses if isinstance(status, int)} >= {200, *_STATUSES}
    assert {status for status in statuses if isinstance(status, str)} >= {"OK", *_GRPC_STATUSES}


def test_no_file_holds_a_canary(asked: Planted) -> None:
    """Neither the data folder nor the temporary one, with Ray's logs in it, while it runs.

    The log may hold what a failing model says of itself, which is for the model's owner, and the
    model's own file does.
    """
    launched = asked.gateway.launched
    log = log_path(launched.data)
    artifacts = launched.data / "artifacts"
    folders = (launched.data, launched.family.temp)
    files = [path for folder in folders for path in folder.rglob("*") if path.is_file()]
    assert log in files
    assert any("session_" in str(path) and path.suffix == ".log" for path in files)
    found = {
        path: places
        for path in (*files, launched.out, launched.errors)
        if (places := asked.canaries.found_in(_content(path)) - _allowed(path, log, artifacts))
    }
    assert found == {}
    assert _OWN_WORDS in asked.canaries.found_in(_content(log))


def test_no_metric_and_no_audit_entry_holds_a_canary(asked: Planted) -> None:
    """Nor what the control port shows of the gateway, in either format."""
    port, key = asked.gateway.control_port, asked.admin
    for path in ("/metrics", "/v1/audit?limit=1000", "/v1/keys", "/v1/system/processes"):
        for accept in ("*/*", "application/openmetrics-text"):
            answer = asked.http.get(
                asked.url(port) + path, headers={"Authorization": f"Bearer {key}", "Accept": accept}
            )
            assert answer.status_code == 200
            assert asked.canaries.found_in(answer.content) == set()


def test_no_export_holds_a_canary(asked: Planted) -> None:
    """Spans and metrics know the prediction, not for whom it was.

    Only the state of a trace goes on with the trace, to the field that tracing systems have for it.
    """
    metrics = b"".join(sent.SerializeToString() for sent in list(asked.receiver.metrics))
    whole = b"".join(sent.SerializeToString() for sent in list(asked.receiver.traces))
    stateless = b"".join(map(_without_state, list(asked.receiver.traces)))
    assert asked.canaries.found_in(metrics) == set()
    assert asked.canaries.found_in(whole) <= {_STATE}
    assert asked.canaries.found_in(stateless) == set()
    answered = {told.prediction_id for told in asked.told if told.prediction_id}
    assert len(answered) > 5
    assert answered <= _predictions(asked)


def test_no_error_holds_a_canary(asked: Planted) -> None:
    """An error repeats nothing but names, and only to who has sent them."""
    found = {
        (told.status, told.error): places
        for told in _errors(asked)
        if (places := asked.canaries.found_in(told.raw) - _names_sent(asked, told))
    }
    assert found == {}


def test_every_error_says_code_and_id_and_nothing_of_the_inside(asked: Planted) -> None:
    """No path, class, address, trace of calls or actor; a code, and an id of 32 hex digits."""
    assert {told.error for told in _errors(asked) if _INSIDES.search(told.error)} == set()
    odd = [
        told
        for told in _errors(asked)
        if not (told.error and told.code and _REQUEST_ID.fullmatch(told.request_id))
    ]
    assert odd == []


def test_only_the_three_ports_answer_from_elsewhere(asked: Planted) -> None:
    """On another address the gateway's ports speak TLS, and no other port of it answers."""
    gateway = asked.gateway
    grpc_port = int(gateway.grpc.rpartition(":")[2])
    ours = {gateway.http_port, gateway.control_port, grpc_port}
    listening = {int(local.partition(":")[2], 16) for local in gateway.launched.family.listening()}
    assert ours < listening
    for port in listening - ours:
        with pytest.raises(ConnectionRefusedError):
            socket.create_connection((ELSEWHERE, port), timeout=30).close()
    trust = ssl.create_default_context(cafile=asked.ca)
    for port in ours:
        with (
            socket.create_connection((ELSEWHERE, port), timeout=30) as plain,
            trust.wrap_socket(plain, server_hostname=ELSEWHERE) as secure,
        ):
            assert secure.version() in {"TLSv1.2", "TLSv1.3"}


def _errors(asked: Planted) -> list[Told]:
    return [told for told in asked.told if told.failed]


def _names_sent(asked: Planted, told: Told) -> set[str]:
    return asked.canaries.found_in(told.sent) & asked.canaries.names


def _predictions(asked: Planted) -> set[str | int]:
    return {
        value
        for span in asked.receiver.spans()
        for name, value in attributes(span.attributes)
        if name == names.PREDICTION_ID
    }


def _without_state(sent: ExportTraceServiceRequest) -> bytes:
    copy = ExportTraceServiceRequest()
    copy.CopyFrom(sent)
    for resource in copy.resource_spans:
        for scope in resource.scope_spans:
            for span in scope.spans:
                span.trace_state = ""
                for link in span.links:
                    link.trace_state = ""
    return copy.SerializeToString()


def _content(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except FileNotFoundError:
        return b""  # Gone since it was found.


def _allowed(path: Path, log: Path, artifacts: Path) -> set[str]:
    return {_OWN_WORDS} if path == log or artifacts in path.parents else set()
