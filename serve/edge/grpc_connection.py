"""One gRPC connection, from its beginning to its end: libnghttp2's HTTP/2, within bounds.

libnghttp2 reads and writes frames and looks after windows, streams and floods of frames; what it
finds comes here as events. How long each step may take is looked after by
`serve.edge.grpc_connections`.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable
from contextlib import suppress
from typing import Protocol

from ngh2 import Connection as Session
from ngh2 import (
    ConnectionClosed,
    DataReceived,
    ErrorCode,
    Event,
    GoAwayReceived,
    NGH2Error,
    PingAcknowledged,
    RequestReceived,
    Role,
    SettingsReceived,
    StreamClosed,
    TrailersReceived,
)

from configs.errors import Overloaded
from serve.edge.bodies import Bodies
from serve.edge.grpc_bounds import BOUNDS, CONNECTION_WINDOW, SETTINGS
from serve.edge.grpc_call import Call, Desk
from serve.edge.grpc_head import Head
from serve.edge.grpc_leaving import Leaving
from serve.edge.grpc_reply import HEAD, Fields, refusal
from serve.edge.grpc_unread import Unread
from serve.edge.one_write import OneWriteTransport
from serve.edge.pace import Taking

_PARTS_FREE = 1024
_PART_BYTES = 64
"""A call may come in this many parts; beyond, each must bring so many bytes on average."""
_WRITE_BYTES = 2**18


class Keeper(Protocol):
    """**Protocol:** who knows all connections, how many there may be, and how many calls."""

    def admit(self, connection: GrpcConnection) -> bool:
        """Take in a connection, unless there are too many."""

    def gone(self, connection: GrpcConnection) -> None:
        """Forget a connection."""

    def count(self, reason: str) -> None:
        """Count a connection that is broken off."""

    def began(self) -> bool:
        """Count a call; whether there may be so many."""

    def has_room(self, untaken: int) -> bool:
        """Whether more may be answered where so many bytes wait to be taken."""

    def ended(self) -> None:
        """Note that one call fewer is open."""


class GrpcConnection(asyncio.Protocol):
    """Hands calls to their desks, and writes what the desks answer.

    What comes of one read, or of one turn of the loop, is written at once. While the client does
    not take what is written, nothing more is read from it.

    `begun` and `heard` are when the client came and was heard last, `pinged` when it was asked
    whether it is there; `idle_since` is when its last call ended, None while it has one.
    `greeted` is whether it has shown to speak HTTP/2, `write_paused` that it does not take what is
    written, `last_look` whether the last answer has had time to arrive. By `chance`, from 0 to 1,
    connections that began together do not end together.
    """

    def __init__(
        self,
        keeper: Keeper,
        desk_of: Callable[[bytes], Desk],
        bodies: Bodies,
        loop: asyncio.AbstractEventLoop,
    ) -> None:
        self._keeper = keeper
        self._desk_of = desk_of
        self._bodies = bodies
        self._loop = loop
        self._session = Session(Role.SERVER, BOUNDS)
        self.write_paused = self._flush_comes = False
        self._over = self._broken = False
        self._goodbye = 0
        self._unread = Unread(self._session)
        self.leaving = Leaving(self._session, self._flush_soon)
        self.calls: dict[int, Call] = {}
        self.taking = Taking()
        self.begun = self.heard = loop.time()
        self.chance = random.random()  # noqa: S311 - no secret
        self.idle_since: float | None = self.begun
        self.pinged: float | None = None
        self.greeted = self.last_look = False
        self._received = self._discarded = 0

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Begin, or say no at once: there are too many connections, or this is no HTTP/2."""
        self.channel = OneWriteTransport(transport)
        self.begun = self.heard = self.idle_since = self._loop.time()
        tls = transport.get_extra_info("ssl_object")
        if tls is not None and tls.selected_alpn_protocol() != "h2":
            self.break_off("malformed")
            return
        self._session.initiate_connection(SETTINGS)
        self._session.set_local_window_size(CONNECTION_WINDOW)
        if not self._keeper.admit(self):
            self._terminate()
        self.flush()

    def connection_lost(self, _exc: Exception | None) -> None:
        """Give up what is asked here: nobody waits for it any more."""
        self._keeper.gone(self)
        self._over = self._broken = True
        self._give_up()

    def data_received(self, data: bytes) -> None:
        """Understand what has come, and write what comes of it."""
        if self._over:
            self._discard(len(data))
            return
        self.heard = self._loop.time()
        self.pinged = None
        try:
            self._session.receive_data(data)
        except NGH2Error:
            self.break_off("malformed")
            return
        self._flush_comes = True  # Below, and not once for every answer.
        self._hear()
        self._received += len(data)  # Now, for it counts for the calls that it began.
        self._flush_comes = False
        self.flush()

    def pause_writing(self) -> None:
        """Read no more from a client that does not take what it asked for."""
        self.write_paused = True
        if not self.channel.is_closing():
            self.channel.pause_reading()

    def resume_writing(self) -> None:
        """Go on with a client that has taken what was written."""
        self.write_paused = False
        self.heard = self._loop.time()
        self.pinged = None
        if not self.channel.is_closing():
            self.channel.resume_reading()
            self.flush()

    def write(self, call: Call, data: bytes, trailers: Fields | None, *, first: bool) -> None:
        """Write a part of an answer, soon; the `first` has the head, the last has trailers."""
        if self._over or call.stream_id not in self.calls:
            return
        if trailers is not None and not call.ended:
            self._unread.add(call.stream_id, call)
        with suppress(NGH2Error):  # The client has taken the call back, and that is heard next.
            self._answer(call.stream_id, data, trailers, first=first)
        if trailers is not None:
            call.waits(self._loop.time(), self.moved(), self.untaken(call))
        self._flush_soon()

    def check_room(self) -> None:
        """Refuse an answer where too many wait to be taken: `Overloaded`."""
        if not self._keeper.has_room(self.untaken()):
            raise Overloaded("too many answers wait until their client takes them")

    def flush(self) -> None:
        """Write what the client has room for."""
        session = self._session
        while not self._broken and not self.write_paused:
            try:
                data = session.data_to_send(_WRITE_BYTES)
            except NGH2Error:
                self.break_off("malformed")
                return
            if data:
                self.channel.write_whole(data)
            self._hear()
            if data and session.want_write:
                continue
            if self._over or not self._unread or not self._unread.stop():
                return

    def _answer(self, stream_id: int, data: bytes, trailers: Fields | None, *, first: bool) -> None:
        session = self._session
        if first and trailers is not None and not data:
            session.send_response(stream_id, HEAD + trailers, end_stream=True)
            return
        if first:
            session.send_response(stream_id, HEAD)
        if data:
            session.send_data(stream_id, data)
        if trailers is not None:
            session.send_trailers(stream_id, trailers)

    def untaken(self, call: Call | None = None) -> int:
        """Give the bytes of all answers, or of one, for which the client has given no room yet."""
        return self._session.queued_body_size(None if call is None else call.stream_id)

    def moved(self) -> int:
        """Give the bytes that the client has sent, and those for which it has given room."""
        return self._received + self.channel.written

    def reset(self, call: Call) -> None:
        """Give up the answer to a call: its client does not take it."""
        if not self._over:
            with suppress(NGH2Error):  # The connection ends.
                self._session.reset_stream(call.stream_id, ErrorCode.CANCEL)
            self._flush_soon()

    def ping(self, now: float) -> None:
        """Ask the client whether it is there."""
        if not self._over:
            self.pinged = now
            with suppress(NGH2Error):  # The connection ends.
                self._session.ping()
            self._flush_soon()

    def break_off(self, reason: str) -> None:
        """End the connection at once, and count it."""
        if not self._broken:
            self._keeper.count(reason)
            self._over = self._broken = True
            self.channel.abort()

    def _flush_soon(self) -> None:
        """Write at the end of this turn of the loop, what others have to say along with it."""
        if not self._flush_comes:
            self._flush_comes = True
            self._loop.call_soon(self._flush_now)

    def _flush_now(self) -> None:
        self._flush_comes = False
        self.flush()

    def _hear(self) -> None:
        """Do what each event asks for."""
        for event in self._session.events():
            if self._over:
                if isinstance(event, ConnectionClosed):
                    self._ended(event)
            elif isinstance(event, DataReceived):
                self._data(event)
            elif isinstance(event, StreamClosed):
                self._closed(event)
            elif isinstance(event, RequestReceived):
                self._request(event)
            else:
                self._hear_seldom(event)

    def _hear_seldom(self, event: Event) -> None:
        if isinstance(event, TrailersReceived):
            self._trailers(event)
        elif isinstance(event, SettingsReceived):
            self.greeted = True
        elif isinstance(event, PingAcknowledged):
            self.leaving.heard(event.opaque_data, self._loop.time())
        elif isinstance(event, ConnectionClosed):
            self._ended(event)
        elif isinstance(event, GoAwayReceived):
            self._goodbye = event.error_code

    def _request(self, event: RequestReceived) -> None:
        """Begin a call."""
        stream_id = event.stream_id
        head = Head(event.headers)
        now = self._loop.time()
        if head.http_status != 200:
            self._unread.add(stream_id, None)
            with suppress(NGH2Error):
                self._session.send_response(stream_id, refusal(head.http_status), end_stream=True)
            return
        call = Call(self, stream_id, head, self._desk_of(head.path), self._bodies)
        call.waits(now, self.moved(), 0)
        self.calls[stream_id] = call
        self.idle_since = None
        call.ended = event.end_stream
        if not self._keeper.began() or not self._keeper.has_room(self.untaken()):
            head.fault = Overloaded("too many calls are open; try again")
        call.desk.begin(call)
        if event.end_stream:
            call.end()

    def _data(self, event: DataReceived) -> None:
        """Give the client room for more, and take what has come."""
        stream_id, data = event.stream_id, event.data
        if data:
            try:
                self._session.acknowledge_received_data(len(data), stream_id)
            except NGH2Error:  # The connection ends.
                return
        call = self.calls.get(stream_id)
        if call is None:
            return
        if event.end_stream:
            call.ended = True
        call.take(data)
        if event.end_stream:
            call.end()
        elif call.parts > _PARTS_FREE and call.received < call.parts * _PART_BYTES:
            self._keeper.count("malformed")
            self._terminate()

    def _trailers(self, event: TrailersReceived) -> None:
        """Note that a client has sent all, though no call of gRPC ends so."""
        call = self.calls.get(event.stream_id)
        if call is not None:
            call.end()

    def _closed(self, event: StreamClosed) -> None:
        """Forget a call; one that has no answer yet was given up by its client."""
        call = self.calls.pop(event.stream_id, None)
        if call is None:
            return
        self._keeper.ended()
        if not self.calls:
            self.idle_since = self._loop.time()
        call.left()

    def _ended(self, event: ConnectionClosed) -> None:
        """Close: both sides have said that it is over, or what came was no HTTP/2.

        What the client still sends is read and dropped. To close before it has seen the last
        answer would answer that with a reset, by which the answer could be lost. The code of the
        client's own goodbye says of nothing that it has done wrong.
        """
        if event.error_code not in (0, self._goodbye) and not self._over:
            self._keeper.count("malformed")
        self._over = self._broken = True
        self._give_up()
        self.channel.unread = True
        self.channel.close()
        if self.channel.lingering:
            self.channel.resume_reading()

    def _give_up(self) -> None:
        """Give up the calls that are open."""
        calls, self.calls = self.calls, {}
        for call in calls.values():
            self._keeper.ended()
            call.left()

    def _discard(self, count: int) -> None:
        self._discarded += count
        if self._discarded > CONNECTION_WINDOW:
            self.channel.abort()

    def _terminate(self) -> None:
        """Say that it is over, and close when that is written."""
        with suppress(NGH2Error):  # It is over already.
            self._session.terminate_connection(ErrorCode.ENHANCE_YOUR_CALM)
        self._over = True
