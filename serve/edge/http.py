"""Inference over HTTP: a pure ASGI application that speaks the Open Inference Protocol v2."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Mapping, Sequence
from functools import lru_cache
from time import perf_counter

import orjson

from configs.errors import BadInput, Forbidden, InternalError, MethodNotAllowed, WeirError
from configs.settings import Limits
from monitors.telemetry import names
from serve.edge.asgi import Receive, Scope, Send
from serve.edge.bodies import Bodies
from serve.edge.caller import Caller
from serve.edge.compression import accepted, deflate
from serve.edge.errors import JSON, Headers, render
from serve.edge.gone import when_gone
from serve.edge.reception import Reception
from serve.edge.visit import Visit
from serve.exchange import Exchange
from serve.protocol import http_answer, http_request
from serve.protocol.contract import OutputTensor
from serve.protocol.paths import POSTED, Ask, Endpoint, endpoint
from serve.recorder.counts import Histogram
from serve.traces import Call

Reply = tuple[int, Headers, bytes]

_CLOSE = (b"connection", b"close")
_PACKED = (b"content-type", b"application/octet-stream")
_CHANGES = (Ask.LOAD, Ask.UNLOAD)
_METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})
_QUICK_BYTES = 2**18
_UNKNOWN_ROUTE = "unknown"
_OTHER_METHOD = "_OTHER"


class Edge:
    """Answers every HTTP request of the inference port.

    While the reception drains, every answer asks the client to reconnect.
    """

    def __init__(self, reception: Reception, limits: Limits) -> None:
        self._reception = reception
        self._limits = limits
        self._bodies = Bodies(limits.body_max_bytes, limits.bodies_max_bytes)
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
        if visit.exchange is not None:
            visit.exchange.answered(reception.gateway.shadows)
        self._count(scope["method"], status, visit)

    async def _reply_to(self, scope: Scope, receive: Receive, visit: Visit) -> Reply:
        try:
            asked = visit.endpoint = endpoint(scope["path"])
            if asked.method != scope["method"]:
                raise MethodNotAllowed(f"{asked.ask.value} takes {asked.method}", asked.method)
            heard = _Headers(scope["headers"])
            if asked.ask is Ask.INFER:
                return await self._infer(scope, receive, visit, heard)
            return await self._describe(visit, receive, heard)
        except Exception as raised:  # noqa: BLE001 - the process boundary; counted by its code
            return render(*self._reception.failed(visit, raised))

    async def _infer(self, scope: Scope, receive: Receive, visit: Visit, heard: _Headers) -> Reply:
        self._reception.admit(_known(visit), heard.caller)
        body = await self._read(receive, heard)
        json_bytes = _json_bytes(heard.json_bytes) if heard.json_bytes is not None else None
        asked = http_request.read(body, json_bytes)
        exchange = self._reception.begin(visit, heard.caller, asked, _CALL)
        when_gone(scope, exchange.give_up)
        outputs = await exchange.run(asked, visit.deadline)
        return await self._answer(exchange, asked.id, outputs, heard)

    async def _read(self, receive: Receive, heard: _Headers) -> bytes:
        return await self._bodies.read(receive, heard.length, heard.encoding)

    async def _answer(
        self,
        exchange: Exchange,
        request_id: str | None,
        outputs: Sequence[OutputTensor],
        heard: _Headers,
    ) -> Reply:
        version = str(exchange.version)
        body, json_bytes = http_answer.write(
            exchange.model, version, request_id, exchange.said(), outputs
        )
        headers = [
            JSON if json_bytes is None else _PACKED,
            (b"weir-prediction-id", exchange.prediction_id.encode()),
            (b"weir-version", version.encode()),
            (b"weir-arm", exchange.role.encode()),
        ]
        if json_bytes is not None:
            headers.append((b"inference-header-content-length", b"%d" % json_bytes))
        if heard.accepts is not None and len(body) >= self._limits.compress_min_bytes:
            encoding = accepted(heard.accepts)
            if encoding is not None:
                body = await _deflated(body, encoding)
                headers.append((b"content-encoding", encoding))
        headers.append((b"content-length", b"%d" % len(body)))
        return 200, headers, body

    async def _describe(self, visit: Visit, receive: Receive, heard: _Headers) -> Reply:
        asked = _known(visit)
        if asked.ask in _CHANGES and heard.from_page:
            raise Forbidden("pages in a browser may not load or unload models")
        principal = self._reception.admit(asked, heard.caller)
        sent: Mapping[str, object] = {}
        if asked.ask in POSTED:
            sent = http_request.read_about_models(await self._read(receive, heard))
        said = await self._reception.describe(asked, sent, principal, visit.deadline)
        status = 503 if said.get("ready") is False else 200
        return _json(said["models"] if asked.ask is Ask.INDEX else said, status)

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

    __slots__ = ("accepts", "caller", "encoding", "from_page", "json_bytes", "length")

    def __init__(self, headers: Iterable[tuple[bytes, bytes]]) -> None:
        self.caller = Caller()
        self.length: int | None = None
        self.encoding: bytes | None = None
        self.from_page = False
        self.accepts: bytes | None = None
        self.json_bytes: bytes | None = None
        for name, value in headers:
            if name == b"content-length":
                self.length = int(value)
            elif name == b"content-encoding":
                self.encoding = value if value.lower() != b"identity" else None
            elif name == b"origin":
                self.from_page = True
            elif name == b"accept-encoding":
                self.accepts = value
            elif name == b"inference-header-content-length":
                self.json_bytes = value
            else:
                self.caller.hear(name, value)


async def _deflated(body: bytes, encoding: bytes) -> bytes:
    """Compress on the loop what is quick, and the rest in a thread: zlib lets go of the lock."""
    if len(body) < _QUICK_BYTES:
        return deflate(body, encoding)
    return await asyncio.to_thread(deflate, body, encoding)


@lru_cache
def _json_bytes(value: bytes) -> int:
    if not value.isdigit() or len(value) > 12:
        raise BadInput("Inference-Header-Content-Length must be a number of bytes")
    return int(value)


def _known(visit: Visit) -> Endpoint:
    if visit.endpoint is None:
        raise InternalError("a request was begun before it was understood")
    return visit.endpoint


def _json(content: object, status: int) -> Reply:
    body = orjson.dumps(content)
    return status, [JSON, (b"content-length", b"%d" % len(body))], body


def _status(error: WeirError | None) -> int:
    return 200 if error is None else error.status


_CALL = Call(
    f"POST {Ask.INFER.value}",
    {names.HTTP_METHOD: "POST", names.HTTP_ROUTE: Ask.INFER.value},
    names.HTTP_STATUS,
    _status,
)
