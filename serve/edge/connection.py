"""One HTTP connection: uvicorn's parser and request cycle, with bounds on what a client may do.

A request is understood in one way or refused: what llhttp, the parser, lets pass and others may
read differently is `400`. An answer that leaves before its request has arrived ends the
connection. How long each step may take is looked after by `serve.edge.connections`.
"""

from __future__ import annotations

import asyncio
import secrets
from typing import Any, Protocol, cast
from urllib.parse import unquote

import httptools
from uvicorn.protocols.http.httptools_impl import STATUS_LINE, HttpToolsProtocol

from configs.errors import BadInput, Overloaded, TooLarge, WeirError
from serve.edge.cycle import Cycle, Desk
from serve.edge.errors import fields, render
from serve.edge.one_write import OneWriteTransport
from serve.edge.pace import Taking

HEAD_MAX_BYTES = 64 * 2**10
CHUNKS_MAX = 2**16
PIPELINE_MAX = 128
_FIELD_BYTES = 32
"""What each header field counts besides its name and value, for the room it takes here."""
_DISCARD_MAX_BYTES = 2**20
_COPIED_BYTES = 2**16
"""Up to here, head and body are joined for one write."""
_HEAD_END = b"\r\n\r\n"
_CONTINUE = b"HTTP/1.1 100 Continue\r\n\r\n"
_CLOSE = b"connection: close\r\n\r\n"


class Keeper(Protocol):
    """**Protocol:** who knows all connections and how many there may be."""

    def admit(self, connection: Connection) -> bool:
        """Take in a connection, unless there are too many."""

    def gone(self, connection: Connection) -> None:
        """Forget a connection."""

    def common(self, headers: list[tuple[bytes, bytes]]) -> bytes:
        """Give the header fields that all answers have."""

    def count(self, reason: str) -> None:
        """Count a connection that is broken off."""


class _Refused(Exception):
    """Ends the parsing of what was received."""


class Connection(HttpToolsProtocol):
    """What uvicorn does for a connection, within bounds.

    `arriving_since` is the moment at which the request that is arriving began, on the loop's
    clock, `in_head` whether its head is incomplete, `received` its bytes so far; `idle_since` is
    the moment of the last answer. Each is None when it does not apply.
    """

    transport: OneWriteTransport  # type: ignore[assignment]

    def __init__(self, keeper: Keeper, desk: Desk | None, **uvicorn: Any) -> None:
        super().__init__(**uvicorn)
        self._keeper = keeper
        self._desk = desk
        self._now = self.loop.time
        self.arriving_since: float | None = None
        self.idle_since: float | None = None
        self.in_head = True
        self.received = 0
        self.taking = Taking()
        self.last_look = False
        self._head_bytes = 0
        self._hosts = 0
        self._chunks = 0
        self._discarded = 0
        self._keep_alive = True
        self._refusal: WeirError = BadInput("this is not valid HTTP/1.1")
        self._last_words: bytes | None = None
        self._left = False
        self._current: Cycle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Begin, or answer `503` at once when there are too many connections."""
        self.transport = OneWriteTransport(transport)
        if not self._keeper.admit(self):
            self._say(_answer(Overloaded("too many connections are open; try again")))
            return
        super().connection_made(cast("asyncio.Transport", self.transport))
        self._arrives()

    def connection_lost(self, exc: Exception | None) -> None:
        """Give up what is asked here: nobody waits for it any more."""
        self._left = True
        self._keeper.gone(self)
        current, self._current = self._current, None
        if isinstance(self.cycle, Cycle):
            self.cycle = None  # type: ignore[assignment]
        super().connection_lost(exc)
        for cycle in (current, *(cycle for cycle, _ in self.pipeline)):
            if isinstance(cycle, Cycle):
                cycle.left()
        self.pipeline.clear()

    def resume_writing(self) -> None:
        """Go on with what waited until the client took an answer."""
        super().resume_writing()
        if self._current is not None and self._current.response_started:
            self._complete(self._current)

    def data_received(self, data: bytes) -> None:
        """Parse what has come, or drop it when it comes too late."""
        if self.transport.lingering or self._last_words is not None:
            self._discard(data)
            return
        begins = self.arriving_since is None
        if begins:
            if self._desk is not None and self._serve_known(self._desk, data):
                return
            self._arrives()
        self.received += len(data)
        try:
            self.parser.feed_data(data)
            if self.received > HEAD_MAX_BYTES and self.in_head and self.arriving_since is not None:
                self._head_too_large()
        except httptools.HttpParserUpgrade as upgrade:
            self._stay_with_http(data[upgrade.args[0] :])
        except (httptools.HttpParserError, _Refused):
            self.refuse(self._refusal, "malformed")
        else:
            if begins and self.arriving_since is None:
                self._learn(data)

    def refuse(self, error: WeirError, reason: str) -> None:
        """End the connection with an error, after the answers to the requests before this one."""
        self._keeper.count(reason)
        words = self._words(error)
        cycle = self.cycle
        self.arriving_since = None
        if not self.in_head and self.pipeline:
            waiting, _ = self.pipeline.popleft()  # The request at fault has not begun.
            if isinstance(waiting, Cycle):
                waiting.left()
        elif not self.in_head:
            started = cycle.response_started
            if isinstance(cycle, Cycle):
                self._current = None
                cycle.left()
            else:
                cycle.disconnected = True
                cycle.message_event.set()
            if started:
                self.transport.abort()
            else:
                self._say(words)
            return
        if cycle is None or cycle.response_complete:  # type: ignore[redundant-expr]
            self._say(words)
        else:
            self._last_words = words

    # What the parser calls

    def on_message_begin(self) -> None:
        """Begin a request."""
        super().on_message_begin()
        if self.arriving_since is None:
            self._arrives()
        self._head_bytes = self._hosts = self._chunks = 0

    def on_header(self, name: bytes, value: bytes) -> None:
        """Take a header field, or a trailer field, which is dropped."""
        super().on_header(name, value)
        name = self.headers[-1][0]
        self._head_bytes += len(name) + len(value) + _FIELD_BYTES
        if self._head_bytes > HEAD_MAX_BYTES:
            self._head_too_large()
        if name == b"host":
            self._hosts += 1
        elif name == b"transfer-encoding" and (
            value.lower() != b"chunked" or self.parser.get_http_version() != "1.1"
        ):
            self._stop(BadInput("the transfer encoding must be chunked, and HTTP/1.1"))

    def on_headers_complete(self) -> None:
        """Begin to answer, unless the request could be understood in two ways."""
        if len(self.url) + self._head_bytes > HEAD_MAX_BYTES:
            self._head_too_large()
        if self._hosts != 1 and (self._hosts or self.parser.get_http_version() == "1.1"):
            self._stop(BadInput("a request needs one Host header"))
        if len(self.pipeline) >= PIPELINE_MAX:
            self._stop(Overloaded(f"more than {PIPELINE_MAX} requests wait on one connection"))
        if self.parser.should_upgrade():
            return
        self.in_head = False
        cycle = self._desk_cycle() if self._desk is not None else None
        if cycle is None:
            super().on_headers_complete()
            self._hold()
            return
        before: Any = self.cycle
        self.cycle = cycle  # type: ignore[assignment]
        self._hold()
        if before is None or before.response_complete:
            self._current = cycle
            cycle.begin()
        else:
            self.flow.pause_reading()
            self.pipeline.appendleft((cycle, self.app))  # type: ignore[arg-type]

    def on_body(self, body: bytes) -> None:
        """Take in a part of a body."""
        cycle: Any = self.cycle
        if isinstance(cycle, Cycle):
            cycle.take(body)
        else:
            super().on_body(body)

    def on_chunk_header(self) -> None:
        """Count a chunk: many small ones cost more than the bytes that they bring."""
        self._chunks += 1
        if self._chunks > CHUNKS_MAX:
            self._stop(TooLarge(f"the body has more than {CHUNKS_MAX} chunks"))

    def on_message_complete(self) -> None:
        """Note that the whole request has arrived."""
        if self.in_head:
            return  # It wants another protocol; it is parsed anew.
        if not self.cycle.response_started:
            self.cycle.keep_alive = self._keep_alive
            self.transport.unread = False
        self.arriving_since = None
        self.in_head = True
        cycle: Any = self.cycle
        if isinstance(cycle, Cycle):
            cycle.arrived()
        else:
            super().on_message_complete()

    def on_response_complete(self) -> None:
        """Go on with the next request."""
        self.server_state.total_requests += 1
        self.transport.flush()
        if self.transport.is_closing():
            if self.transport.lingering:
                self.flow.resume_reading()
            return
        self.flow.resume_reading()
        if self.pipeline:
            self._start(*self.pipeline.pop())
        elif self._last_words is not None:
            self._say(self._last_words)
        else:
            self.idle_since = self._now()

    # What a cycle of the desk calls

    def ask_to_continue(self) -> None:
        """Tell the client to send its body (RFC 9110, section 10.1.1)."""
        self.transport.write(_CONTINUE)

    def write_answer(self, cycle: Cycle, status: int, head: bytes, body: bytes) -> None:
        """Write an answer, unless nobody waits for it, and go on with the next request."""
        if cycle is not self._current:
            return
        words = [STATUS_LINE[status], self._keeper.common(self.server_state.default_headers), head]
        words.append(b"\r\n" if cycle.keep_alive else _CLOSE)
        if len(body) <= _COPIED_BYTES:
            words.append(body)
            self.transport.write_whole(b"".join(words))
        else:
            self.transport.write_whole(b"".join(words))
            self.transport.write_whole(body)
        if not self.flow.write_paused:
            self._complete(cycle)

    def _complete(self, cycle: Cycle) -> None:
        cycle.response_complete = True
        self._current = None
        if not cycle.keep_alive:
            self.transport.close()
        self.on_response_complete()

    def _start(self, cycle: Any, app: Any) -> None:
        """Begin with a request that waited for the one before it."""
        if isinstance(cycle, Cycle):
            self._current = cycle
            self.loop.call_soon(cycle.begin)  # Not from within: they may be many.
        else:
            self._start_asgi_task(cycle, app)

    def _desk_cycle(self) -> Cycle | None:
        """Give a cycle for a request that the desk answers, None for one of the application."""
        desk = self._desk
        if desk is None:
            return None
        path = httptools.parse_url(self.url).path.decode("ascii")
        head = desk.read(self.parser.get_method(), unquote(path), self.headers)
        if head is None:
            return None
        cycle = Cycle(self, desk, head)
        cycle.keep_alive = self.parser.get_http_version() != "1.0" and (
            self.parser.should_keep_alive()
        )
        return cycle

    def _hold(self) -> None:
        """Have an answer end the connection, until the whole request has arrived."""
        self.headers = []  # Trailers must not become headers.
        self._keep_alive, self.cycle.keep_alive = self.cycle.keep_alive, False
        self.transport.unread = True

    def _serve_known(self, desk: Desk, data: bytes) -> bool:
        """Answer without a parser a whole request whose head is known byte for byte."""
        before: Any = self.cycle
        if before is not None and not before.response_complete:
            return False
        end = data.find(_HEAD_END) + len(_HEAD_END)
        head = desk.known(data[:end])
        if head is None or head.length != len(data) - end:
            return False
        self.idle_since = None
        cycle = self._current = Cycle(self, desk, head)
        self.cycle = cycle  # type: ignore[assignment]
        cycle.serve(data[end:])
        return True

    def _learn(self, data: bytes) -> None:
        """Remember the head of what was one whole request, and nothing else, in one piece."""
        cycle: Any = self.cycle
        if self._desk is None or not isinstance(cycle, Cycle) or not self._keep_alive:
            return
        end = data.find(_HEAD_END) + len(_HEAD_END)
        if cycle.head.length == len(data) - end and cycle.head.plain:
            self._desk.learn(data[:end], cycle.head)

    def _arrives(self) -> None:
        self.arriving_since = self._now()
        self.idle_since = None
        self.in_head = True
        self.received = 0

    def _discard(self, data: bytes) -> None:
        self._discarded += len(data)
        if self._discarded > _DISCARD_MAX_BYTES:
            self.transport.abort()

    def _stay_with_http(self, rest: bytes) -> None:
        """Parse a request that offers another protocol as if it did not (RFC 9110, 7.8).

        llhttp would leave out its body and read it as the next request.
        """
        method, version = self.parser.get_method(), self.parser.get_http_version()
        if method == b"CONNECT":
            self.refuse(BadInput("this is no proxy"), "malformed")
            return
        fields = [b"%s: %s\r\n" % field for field in self.headers if field[0] != b"upgrade"]
        line = b"%s %s HTTP/%s\r\n" % (method, self.url, version.encode())
        head = b"".join((line, *fields, b"\r\n"))
        self.parser = httptools.HttpRequestParser(self)
        self.parser.set_dangerous_leniencies(lenient_data_after_close=True)
        self.received -= len(rest)
        self.data_received(head + rest)

    def _head_too_large(self) -> None:
        self._stop(BadInput(f"the head of a request may have {HEAD_MAX_BYTES} bytes"))

    def _stop(self, error: WeirError) -> None:
        self._refusal = error
        raise _Refused

    def _words(self, error: WeirError) -> bytes:
        return _answer(error, self.server_state.default_headers)

    def _say(self, words: bytes) -> None:
        """Write the last answer of this connection, and close."""
        self.transport.unread = True
        self.transport.write(words)
        self.transport.close()
        if self.flow is not None:
            self.flow.resume_reading()


def _answer(error: WeirError, more: list[tuple[bytes, bytes]] | None = None) -> bytes:
    status, headers, body = render(error, secrets.token_hex(16))
    return b"".join((STATUS_LINE[status], fields([*(more or ()), *headers]), _CLOSE, body))
