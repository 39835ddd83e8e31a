"""All that the HTTP inference port answers but inference: a pure ASGI application."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from time import perf_counter

import orjson

from configs.errors import Forbidden, InternalError, MethodNotAllowed
from configs.settings import Limits
from monitors.telemetry import names
from serve.edge.asgi import Receive, Scope, Send
from serve.edge.bodies import Bodies
from serve.edge.caller import Caller
from serve.edge.errors import JSON, Headers, render
from serve.edge.feedback import Feedback
from serve.edge.head import Head
from serve.edge.infer import Inference
from serve.edge.reception import Reception
from serve.edge.visit import Visit
from serve.protocol import http_request
from serve.protocol.feedback import Sent, told
from serve.protocol.paths import AFTERWARDS, POSTED, Ask, Endpoint, endpoint
from serve.recorder.counts import Histogram

Reply = tuple[int, Headers, bytes]

_CLOSE = (b"connection", b"close")
_CHANGES = frozenset({Ask.LOAD, Ask.UNLOAD}) | AFTERWARDS
_LINES = frozenset({b"application/x-ndjson", b"application/jsonl", b"application/x-jsonlines"})
_METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})
_UNKNOWN_ROUTE = "unknown"
_OTHER_METHOD = "_OTHER"


class Edge:
    """Answers the HTTP requests of the inference port, but for those that its `desk` takes.

    While the reception drains, every answer asks the client to reconnect. `bodies` are those that
    are being read.
    """

    def __init__(self, reception: Reception, limits: Limits, feedback: Feedback) -> None:
        self._reception = reception
        self._feedback = feedback
        self.bodies = Bodies(limits.body_max_bytes, limits.bodies_max_bytes)
        self.desk = Inference(reception, limits, self.bodies)
        self._durations: dict[tuple[str, str, int, str], Histogram] = {}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        reception = self._reception
        visit = reception.arrive()
        reception.open_requests += 1
        try:
            status, headers, body = await self._reply_to(scope, receive, visit)
        finally:
            reception.open_requests -= 1
        if reception.draining:
            headers.append(_CLOSE)
        await send({"type": "http.response.start", "status": status, "headers": headers})
        await send({"type": "http.response.body", "body": body})
        self._count(scope["method"], status, visit)

    async def _reply_to(self, scope: Scope, receive: Receive, visit: Visit) -> Reply:
        try:
            asked = visit.endpoint = endpoint(scope["path"])
            if asked.method != scope["method"]:
                raise MethodNotAllowed(f"{asked.ask.value} takes {asked.method}", asked.method)
            if asked.ask is Ask.EXPLAIN:
                return await self._explain(visit, receive, Head(asked, scope["headers"]))
            heard = _Headers(scope["headers"])
            return await self._describe(visit, receive, heard)
        except Exception as raised:  # noqa: BLE001 - the process boundary; counted by its code
            return render(*self._reception.failed(visit, raised))

    async def _explain(self, visit: Visit, receive: Receive, head: Head) -> Reply:
        self._reception.admit(head.endpoint, head.caller)
        if head.fault is not None:
            raise head.fault
        body = await self.bodies.read(receive, head.length, head.encoding)
        asked, wish = http_request.read_to_explain(body, head.json_bytes)
        version, said = await self._reception.explain(visit, head.caller, asked, wish)
        headers = [
            JSON,
            (b"content-length", b"%d" % len(said)),
            (b"weir-version", version.encode()),
        ]
        return 200, headers, said

    async def _describe(self, visit: Visit, receive: Receive, heard: _Headers) -> Reply:
        asked = _known(visit)
        if asked.ask in _CHANGES and heard.from_page:
            raise Forbidden("pages in a browser may not change anything here")
        principal = self._reception.admit(asked, heard.caller)
        if asked.ask in AFTERWARDS:
            return await self._hear(asked, visit, receive, heard)
        sent: Mapping[str, object] = {}
        if asked.ask in POSTED:
            sent = http_request.read_about_models(
                await self.bodies.read(receive, heard.length, heard.encoding)
            )
        said = await self._reception.describe(asked, sent, principal, visit.deadline)
        status = 503 if said.get("ready") is False else 200
        return _json(said["models"] if asked.ask is Ask.INDEX else said, status)

    async def _hear(
        self, asked: Endpoint, visit: Visit, receive: Receive, heard: _Headers
    ) -> Reply:
        """Take in what is told after predictions, and say what became of it."""
        visit.waits(heard.caller.timeout_s())
        feedback = self._feedback
        versions = feedback.awaiting(asked)
        body = await feedback.bodies.read(receive, heard.length, heard.encoding)
        audit = asked.ask is Ask.GROUPS
        sent = Sent(asked.model, bytes(body), audit, heard.lines, versions)
        return _json(told(await feedback.hand_over(sent, visit.deadline)), 200)

    def _count(self, method: str, status: int, visit: Visit) -> None:
        asked = visit.endpoint
        route = asked.ask.value if asked is not None else _UNKNOWN_ROUTE
        known = asked is not None and method in _METHODS
        key = (method if known else _OTHER_METHOD, route, status, visit.code)
        histogram = self._durations.get(key)
        if histogram is None:
            histogram = self._reception.gateway.recorder.counts.histogram(
                names.REQUEST_DURATION, key[0], route, str(status), visit.code
            )
            self._durations[key] = histogram
        histogram.record(perf_counter() - visit.started)


class _Headers:
    """The headers of a request that matter here: those of the body, and the caller's."""

    __slots__ = ("caller", "encoding", "from_page", "length", "lines")

    def __init__(self, headers: Iterable[tuple[bytes, bytes]]) -> None:
        self.caller = Caller()
        self.length: int | None = None
        self.encoding: bytes | None = None
        self.from_page = False
        self.lines = False
        for name, value in headers:
            if name == b"content-length":
                self.length = int(value)
            elif name == b"content-encoding":
                self.encoding = value if value.lower() != b"identity" else None
            elif name == b"origin":
                self.from_page = True
            elif name == b"content-type":
                self.lines = value.partition(b";")[0].strip().lower() in _LINES
            else:
                self.caller.hear(name, value)


def _known(visit: Visit) -> Endpoint:
    if visit.endpoint is None:
        raise InternalError("a request was begun before it was understood")
    return visit.endpoint


def _json(content: object, status: int) -> Reply:
    body = orjson.dumps(content)
    return status, [JSON, (b"content-length", b"%d" % len(body))], body
