"""One HTTP connection, from its beginning to its end: uvicorn's, within bounds.

How its requests are read is in `serve.edge.reading`, how they are answered in `serve.edge.turns`.
An answer that leaves before its request has arrived ends the connection. How long each step may
take is looked after by `serve.edge.connections`.
"""

from __future__ import annotations

import asyncio
import secrets
from typing import Any, Protocol, cast

import httptools
from uvicorn.protocols.http.httptools_impl import STATUS_LINE

from configs.errors import BadInput, Overloaded, WeirError
from serve.edge.cycle import Cycle, Desk
from serve.edge.errors import fields, render
from serve.edge.one_write import OneWriteTransport
from serve.edge.pace import Taking
from serve.edge.reading import HEAD_MAX_BYTES, Reading, Refused
from serve.edge.turns import CLOSE


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


class Connection(Reading):
    """What uvicorn does for a connection, within bounds.

    `taking` and `last_look` belong to who looks at it now and then: how the client takes what is
    written, and whether its last answer has had time to arrive.
    """

    def __init__(self, keeper: Keeper, desk: Desk | None, **uvicorn: Any) -> None:
        super().__init__(desk, keeper.common, **uvicorn)
        self._keeper = keeper
        self.taking = Taking()
        self.last_look = False

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Begin, or answer `503` at once when there are too many connections."""
        self.channel = OneWriteTransport(transport)
        self.transport = cast("asyncio.Transport", self.channel)
        if not self._keeper.admit(self):
            self._say(_answer(Overloaded("too many connections are open; try again")))
            return
        super().connection_made(self.transport)
        self._arrives()

    def connection_lost(self, exc: Exception | None) -> None:
        """Give up what is asked here: nobody waits for it any more."""
        self._keeper.gone(self)
        current, self._current = self._current, None
        if isinstance(self.cycle, Cycle):
            self.cycle = None  # type: ignore[assignment]
        super().connection_lost(exc)
        for cycle in (current, *(cycle for cycle, _ in self.pipeline)):
            if isinstance(cycle, Cycle):
                cycle.left()
        self.pipeline.clear()

    def data_received(self, data: bytes) -> None:
        """Parse what has come, or drop it when it comes too late."""
        if self._comes_too_late():
            self._discard(len(data))
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
        except (httptools.HttpParserError, Refused):
            self.refuse(self._refusal, "malformed")
        else:
            missing = 0 if self.arriving_since is None else self._read_in_place()
            if begins and missing is not None:
                self._learn(data, missing)

    def refuse(self, error: WeirError, reason: str) -> None:
        """End the connection with an error, after the answers to the requests before this one."""
        self._keeper.count(reason)
        words = _answer(error, self.server_state.default_headers)
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
                self.channel.abort()
            else:
                self._say(words)
            return
        if cycle is None or cycle.response_complete:  # type: ignore[redundant-expr]
            self._say(words)
        else:
            self._last_words = words

    def _stay_with_http(self, rest: bytes) -> None:
        """Parse a request that offers another protocol as if it did not (RFC 9110, 7.8).

        llhttp would leave out its body and read it as the next request.
        """
        if self.parser.get_method() == b"CONNECT":
            self.refuse(BadInput("this is no proxy"), "malformed")
            return
        self.received -= len(rest)
        self.data_received(self._head_anew() + rest)


def _answer(error: WeirError, more: list[tuple[bytes, bytes]] | None = None) -> bytes:
    status, headers, body = render(error, secrets.token_hex(16))
    return b"".join((STATUS_LINE[status], fields([*(more or ()), *headers]), CLOSE, body))
