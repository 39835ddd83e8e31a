"""The answers of a connection: one request after the other, each answered in its turn.

uvicorn keeps the queue and runs what the application answers; this adds the cycles of the desk,
and the last words of a connection that ends with an error.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from uvicorn.protocols.http.httptools_impl import STATUS_LINE, HttpToolsProtocol

from serve.edge.cycle import Cycle
from serve.edge.one_write import OneWriteTransport

CLOSE = b"connection: close\r\n\r\n"
_COPIED_BYTES = 2**16
"""Up to here, head and body are joined for one write."""
_CONTINUE = b"HTTP/1.1 100 Continue\r\n\r\n"
Common = Callable[[list[tuple[bytes, bytes]]], bytes]
"""Gives the header fields that all answers have, as they stand in a head."""


class Turns(HttpToolsProtocol):
    """What leaves by a connection, in the order in which it was asked for.

    `channel` is uvicorn's transport under a type of ours. `idle_since` is the moment of the last
    answer on the loop's clock, None while a request arrives or waits for its answer.
    """

    channel: OneWriteTransport

    def __init__(self, common: Common, **uvicorn: Any) -> None:
        super().__init__(**uvicorn)
        self._common = common
        self._now = self.loop.time
        self.idle_since: float | None = None
        self._current: Cycle | None = None
        self._last_words: bytes | None = None

    def resume_writing(self) -> None:
        """Go on with what waited until the client took an answer."""
        super().resume_writing()
        if self._current is not None and self._current.response_started:
            self._complete(self._current)

    def on_response_complete(self) -> None:
        """Go on with the next request."""
        self.server_state.total_requests += 1
        channel = self.channel
        channel.flush()
        if channel.is_closing():
            if channel.lingering:
                self.flow.resume_reading()
            return
        self.flow.resume_reading()
        if self.pipeline:
            self._start(*self.pipeline.pop())
        elif self._last_words is not None:
            self._say(self._last_words)
        else:
            self.idle_since = self._now()

    def ask_to_continue(self) -> None:
        """Tell the client to send its body (RFC 9110, section 10.1.1)."""
        self.channel.write(_CONTINUE)

    def write_answer(self, cycle: Cycle, status: int, head: bytes, body: bytes) -> None:
        """Write an answer, unless nobody waits for it, and go on with the next request."""
        if cycle is not self._current:
            return
        words = [STATUS_LINE[status], self._common(self.server_state.default_headers), head]
        words.append(b"\r\n" if cycle.keep_alive else CLOSE)
        if len(body) <= _COPIED_BYTES:
            words.append(body)
            self.channel.write_whole(b"".join(words))
        else:
            self.channel.write_whole(b"".join(words))
            self.channel.write_whole(body)
        if not self.flow.write_paused:
            self._complete(cycle)

    def _complete(self, cycle: Cycle) -> None:
        cycle.response_complete = True
        self._current = None
        if not cycle.keep_alive:
            self.channel.close()
        self.on_response_complete()

    def _start(self, cycle: Any, app: Any) -> None:
        """Begin with a request that waited for the one before it."""
        if isinstance(cycle, Cycle):
            self._current = cycle
            self.loop.call_soon(cycle.begin)  # Not from within: they may be many.
        else:
            self._start_asgi_task(cycle, app)

    def _say(self, words: bytes) -> None:
        """Write the last answer of this connection, and close."""
        self.channel.unread = True
        self.channel.write(words)
        self.channel.close()
        if self.flow is not None:
            self.flow.resume_reading()
