"""The inference port: a pure ASGI application that speaks the Open Inference Protocol v2."""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable, Iterable, MutableMapping
from functools import partial
from time import perf_counter
from typing import Any

import orjson

from configs.errors import (
    BadInput,
    MethodNotAllowed,
    NotReady,
    TooLarge,
    UnsupportedEncoding,
    WeirError,
)
from configs.settings import Limits
from monitors.telemetry import names
from serve.edge import metadata
from serve.edge.errors import JSON, Headers, as_weir_error, render
from serve.edge.paths import Ask, Endpoint, endpoint
from serve.exchange import Exchange
from serve.gateway import Gateway
from serve.recorder.counts import Histogram

Scope = MutableMapping[str, Any]
Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
Reply = tuple[int, Headers, bytes]

_CLOSE = (b"connection", b"close")
_UNKNOWN_ROUTE = "unknown"
_OTHER_METHOD = "_OTHER"
_log = logging.getLogger("weir.edge")


class Edge:
    """Answers every HTTP request of the inference port.

    While `draining`, every answer asks the client to reconnect. `open_requests` counts those that
    have no answer yet.
    """

    def __init__(self, gateway: Gateway, limits: Limits) -> None:
        self._gateway = gateway
        self._limits = limits
        self._durations: dict[tuple[str, str, int, str], Histogram] = {}
        self.draining = False
        self.open_requests = 0

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        outcome = _Outcome()
        self.open_requests += 1
        try:
            status, headers, body = await self._reply_to(scope, receive, outcome)
        finally:
            self.open_requests -= 1
        if self.draining:
            headers.append(_CLOSE)
        await send({"type": "http.response.start", "status": status, "headers": headers})
        await send({"type": "http.response.body", "body": body})
        if outcome.exchange is not None:
            outcome.exchange.answered(self._gateway.shadows)
        self._count(scope["method"], status, outcome)

    async def _reply_to(self, scope: Scope, receive: Receive, outcome: _Outcome) -> Reply:
        try:
            asked = outcome.asked = endpoint(scope["path"])
            if asked.method != scope["method"]:
                raise MethodNotAllowed(f"{asked.ask.value} takes {asked.method}", asked.method)
            if asked.ask is not Ask.INFER:
                return self._describe(asked)
            headers = _Headers(scope["headers"])
            exchange = outcome.exchange = self._begin(asked, headers)
            body = await self._read(headers, receive)
            return _answer(exchange, await exchange.run(body, self._gateway.deadline()))
        except Exception as raised:  # noqa: BLE001 - the process boundary; counted by its code
            error = as_weir_error(raised)
            if error is not raised:
                _log.exception("a request failed for a reason of ours")
            outcome.fail(error)
            return render(error)

    def _begin(self, asked: Endpoint, headers: _Headers) -> Exchange:
        trace = partial(
            self._gateway.tracer.begin,
            asked.ask.value,
            asked.method,
            headers.traceparent,
            headers.tracestate,
        )
        return self._gateway.begin(asked.model, asked.version, headers.key, trace)

    async def _read(self, headers: _Headers, receive: Receive) -> bytes:
        """Read the body, never more of it than is allowed."""
        if headers.encoded:
            raise UnsupportedEncoding("compressed and binary bodies are not supported: send JSON")
        limit = self._limits.body_max_bytes
        if headers.length is not None and headers.length > limit:
            raise TooLarge(f"the body has {headers.length} bytes, {limit} are allowed")
        parts: list[bytes] = []
        size = 0
        more = True
        while more:
            message = await receive()
            if message["type"] == "http.disconnect":
                raise BadInput("the client left before its request was complete")
            parts.append(message.get("body", b""))
            size += len(parts[-1])
            if size > limit:
                raise TooLarge(f"the body is larger than the {limit} bytes that are allowed")
            more = message.get("more_body", False)
        return b"".join(parts)

    def _describe(self, asked: Endpoint) -> Reply:
        gateway = self._gateway
        match asked.ask:
            case Ask.SERVER:
                return _json(metadata.server())
            case Ask.LIVE:
                return _json({"live": True})
            case Ask.READY:
                ready = gateway.ready() and not self.draining
                return _json({"ready": ready, "live": ready}, 200 if ready else 503)
            case Ask.MODEL_READY:
                served = gateway.model_version(asked.model, asked.version)
                if not served.links.connected:
                    raise NotReady(f"{asked.model} is not ready")
                return _json({"name": asked.model, "ready": True})
            case _:
                served = gateway.model_version(asked.model, asked.version)
                return _json(metadata.model(served.version, gateway.versions(asked.model)))

    def _count(self, method: str, status: int, outcome: _Outcome) -> None:
        asked = outcome.asked
        route = asked.ask.value if asked is not None else _UNKNOWN_ROUTE
        key = (method if asked is not None else _OTHER_METHOD, route, status, outcome.code)
        histogram = self._durations.get(key)
        if histogram is None:
            histogram = self._gateway.recorder.counts.histogram(
                names.REQUEST_DURATION, key[0], route, str(status), outcome.code
            )
            self._durations[key] = histogram
        histogram.record(perf_counter() - outcome.started)


class _Outcome:
    """What has become of one request so far."""

    __slots__ = ("asked", "code", "exchange", "started")

    def __init__(self) -> None:
        self.started = perf_counter()
        self.asked: Endpoint | None = None
        self.exchange: Exchange | None = None
        self.code = ""

    def fail(self, error: WeirError) -> None:
        """Note the error that the client gets."""
        self.code = error.code
        if self.exchange is not None:
            self.exchange.failed(error)
            self.exchange = None


class _Headers:
    """The few headers of a request that matter here."""

    __slots__ = ("encoded", "key", "length", "traceparent", "tracestate")

    def __init__(self, headers: Iterable[tuple[bytes, bytes]]) -> None:
        self.key: bytes | None = None
        self.length: int | None = None
        self.traceparent: bytes | None = None
        self.tracestate = b""
        self.encoded = False
        for name, value in headers:
            if name == b"content-length":
                self.length = int(value)
            elif name == b"weir-key":
                self.key = value
            elif name == b"traceparent":
                self.traceparent = value
            elif name == b"tracestate":
                self.tracestate = value
            elif name in (b"content-encoding", b"inference-header-content-length"):
                self.encoded = self.encoded or value.lower() != b"identity"


def _answer(exchange: Exchange, body: bytes) -> Reply:
    return (
        200,
        [
            JSON,
            (b"content-length", b"%d" % len(body)),
            (b"weir-prediction-id", exchange.prediction_id.encode()),
            (b"weir-version", b"%d" % exchange.version),
            (b"weir-arm", exchange.role.encode()),
        ],
        body,
    )


def _json(content: object, status: int = 200) -> Reply:
    body = orjson.dumps(content)
    return status, [JSON, (b"content-length", b"%d" % len(body))], body
