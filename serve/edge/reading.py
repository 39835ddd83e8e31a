"""The reading of requests: each is understood in one way, or refused.

What llhttp, the parser, lets pass and others may read differently is `400`. A head that is known
byte for byte is not parsed again.
"""

from __future__ import annotations

from typing import Any
from urllib.parse import unquote

import httptools

from configs.errors import BadInput, Overloaded, TooLarge, WeirError
from serve.edge.cycle import Cycle, Desk
from serve.edge.in_place import FirstBytes, RestOfBody
from serve.edge.turns import Common, Turns

HEAD_MAX_BYTES = 64 * 2**10
CHUNKS_MAX = 2**16
PIPELINE_MAX = 128
_DISCARD_MAX_BYTES = 2**20
_FIELD_BYTES = 32
"""What each header field counts besides its name and value, for the room it takes here."""
_HEAD_END = b"\r\n\r\n"


class Refused(Exception):
    """Ends the parsing of what was received."""


class Reading(Turns):
    """What uvicorn's parser calls for the request that arrives, within bounds.

    `arriving_since` is the moment at which that request began on the loop's clock, None if there
    is none; `in_head` says whether its head is incomplete, `received` counts its bytes so far.
    """

    def __init__(self, desk: Desk | None, common: Common, **uvicorn: Any) -> None:
        super().__init__(common, **uvicorn)
        self._desk = desk
        self.arriving_since: float | None = None
        self.in_head = True
        self.received = 0
        self._head_bytes = 0
        self._hosts = 0
        self._chunks = 0
        self._discarded = 0
        self._keep_alive = True
        self._refusal: WeirError = BadInput("this is not valid HTTP/1.1")

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
        cycle = self._desk_cycle(self._desk) if self._desk is not None else None
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
            self.channel.unread = False
        self.arriving_since = None
        self.in_head = True
        cycle: Any = self.cycle
        if isinstance(cycle, Cycle):
            cycle.arrived()
        else:
            super().on_message_complete()

    def filled(self, count: int, *, whole: bool) -> bool:
        """Take in a part of a large body; gives whether more of it is to be read into place."""
        cycle: Any = self.cycle
        if self.channel.lingering or self._last_words is not None or cycle is None:
            self.channel.set_protocol(self)  # To drop what the client still sends.
            return False
        self.received += count
        cycle.filled(count)
        if whole:
            self._parse_anew()
            self.channel.set_protocol(FirstBytes(self))
            self.on_message_complete()
            return False
        if cycle.response_started:
            self.channel.set_protocol(self)
            return False
        return True

    def first_bytes(self, data: bytes) -> None:
        """Take in what was read behind a large request, and read as usual from here on."""
        self.channel.set_protocol(self)
        self.data_received(data)

    def _arrives(self) -> None:
        self.arriving_since = self._now()
        self.idle_since = None
        self.in_head = True
        self.received = 0

    def _desk_cycle(self, desk: Desk) -> Cycle | None:
        """Give a cycle for a request that the desk answers, None for one of the application."""
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
        self.channel.unread = True

    def _serve_known(self, desk: Desk, data: bytes) -> bool:
        """Answer without a parser a whole request whose head is known byte for byte."""
        before: Any = self.cycle
        if before is not None and not before.response_complete:
            return False
        end = data.find(_HEAD_END) + len(_HEAD_END)
        head = desk.known(data[:end])
        if head is None or head.length is None:
            return False
        missing = head.length - (len(data) - end)
        if missing < 0 or (missing and not head.large):
            return False
        cycle = Cycle(self, desk, head)
        if missing:
            self._begin_known(cycle, memoryview(data)[end:])
            return True
        self.idle_since = None
        self._current = cycle
        self.cycle = cycle  # type: ignore[assignment]
        cycle.serve(data[end:])
        return True

    def _begin_known(self, cycle: Cycle, part: memoryview) -> None:
        """Begin with a large request of which the head and a part of the body have come."""
        self._arrives()
        self.in_head = False
        self._current = cycle
        self.cycle = cycle  # type: ignore[assignment]
        self._hold()
        self.received = len(part)
        cycle.begin()
        cycle.take(part)
        self._read_in_place()

    def _read_in_place(self) -> int | None:
        """Have the rest of a large body read to where it belongs; gives how much that is."""
        cycle: Any = self.cycle
        if self.in_head or cycle is None or cycle is not self._current:
            return None
        place = self._current.rest()
        if place is None:
            return None
        self.channel.set_protocol(RestOfBody(self, place))
        return len(place)

    def _parse_anew(self) -> None:
        """Go on behind bytes that the parser has not seen."""
        self.parser = httptools.HttpRequestParser(self)
        self.parser.set_dangerous_leniencies(lenient_data_after_close=True)

    def _learn(self, data: bytes, missing: int) -> None:
        """Remember the head of what was one request and nothing else, but for so many bytes."""
        cycle: Any = self.cycle
        if self._desk is None or not isinstance(cycle, Cycle) or not self._keep_alive:
            return
        end = data.find(_HEAD_END) + len(_HEAD_END)
        if cycle.head.length == len(data) - end + missing and cycle.head.plain:
            self._desk.learn(data[:end], cycle.head)

    def _head_anew(self) -> bytes:
        """Give the head as if it offered no other protocol, for a new parser to read."""
        fields = [b"%s: %s\r\n" % field for field in self.headers if field[0] != b"upgrade"]
        version = self.parser.get_http_version().encode()
        line = b"%s %s HTTP/%s\r\n" % (self.parser.get_method(), self.url, version)
        self._parse_anew()
        return b"".join((line, *fields, b"\r\n"))

    def _comes_too_late(self) -> bool:
        """Whether the last answer is on its way, or that to the request that still arrives."""
        if self.channel.lingering or self._last_words is not None:
            return True
        cycle: Any = self._current
        return (
            cycle is not None
            and cycle.response_started
            and cycle is self.cycle
            and not self.in_head
        )

    def _discard(self, count: int) -> None:
        self._discarded += count
        if self._discarded > _DISCARD_MAX_BYTES:
            self.channel.abort()

    def _head_too_large(self) -> None:
        self._stop(BadInput(f"the head of a request may have {HEAD_MAX_BYTES} bytes"))

    def _stop(self, error: WeirError) -> None:
        self._refusal = error
        raise Refused
