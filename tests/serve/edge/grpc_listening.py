"""A real gRPC listener with a desk that a test can watch, and clients that send what they like."""

from __future__ import annotations

import asyncio
import socket
import ssl
import struct
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager, suppress

import ngh2

from configs.errors import WeirError
from configs.settings import Limits
from serve.edge import grpc_reply
from serve.edge.bodies import Bodies
from serve.edge.grpc_call import Call
from serve.edge.grpc_connection import GrpcConnection
from serve.edge.grpc_connections import GrpcConnections
from serve.edge.visit import Visit
from serve.node.loop_thread import LoopThread
from serve.node.sockets import listen
from serve.protocol.grpc_frames import framed

SLOW_S = 0.2
PATIENCE_S = 20.0
TINY = Limits(slow_s=SLOW_S, slow_bytes_per_s=10_000, connections_max=4, body_max_bytes=2**20)
LARGE_BYTES = 2**20
_DATA, _HEADERS, _RESET, _SETTINGS, _PING, _GOAWAY, _ROOM, _CONTINUATION = 0, 1, 3, 4, 6, 7, 8, 9
END_STREAM, END_HEADERS, ACK = 1, 4, 1
PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"


class Echo:
    """A desk that answers by path: `/echo` the message, `/length` how long it is, `/large` much.

    `/wait` is answered when it is told, `/stream` each message, `/first` much to the first of them;
    `/early` is refused by its head.
    """

    def __init__(self) -> None:
        self.begun: list[bytes] = []
        self.served: list[bytes] = []
        self.errors: list[str] = []
        self.left_by = 0
        self.deadline_s = 30.0
        self._waiting: list[tuple[Call, bytes]] = []

    def begin(self, call: Call) -> None:
        """Note it."""
        self.begun.append(call.head.path)
        call.visit = Visit(asyncio.get_running_loop().time(), self.deadline_s)
        call.streams = call.head.path in (b"/stream", b"/first")
        if call.head.fault is not None:
            self.refuse(call, call.head.fault)
        elif call.head.path == b"/early":
            call.finish(grpc_reply.bad("UNAUTHENTICATED", "not you"))

    def serve(self, call: Call, message: bytes) -> None:
        """Answer by path."""
        self.served.append(message)
        if call.head.path == b"/wait":
            self._waiting.append((call, message))
        elif call.head.path == b"/stream":
            call.send(message)
        elif call.head.path == b"/first":
            call.send(bytes(LARGE_BYTES))
            call.finish(grpc_reply.good())
        else:
            answers = {b"/large": bytes(LARGE_BYTES), b"/length": b"%d" % len(message)}
            answer = answers.get(call.head.path, message)
            call.answer(answer, grpc_reply.good((b"said", b"so")))

    def ended(self, call: Call) -> None:
        """End the stream."""
        call.finish(grpc_reply.good())

    def refuse(self, call: Call, error: WeirError) -> None:
        """Note what is wrong, and tell it."""
        if not call.over:
            self.errors.append(error.code)
            call.finish(grpc_reply.failed(error, "0"))

    def left(self, _call: Call, /) -> None:
        """Count who left."""
        self.left_by += 1

    def go(self) -> None:
        """Answer those who wait."""
        for call, message in self._waiting:
            if call.over:
                continue
            try:
                call.answer(message, grpc_reply.good())
            except WeirError as error:
                self.refuse(call, error)
        self._waiting.clear()


class GrpcListening:
    """A listener on a loop of its own, and what it counted."""

    def __init__(self, limits: Limits, tls: ssl.SSLContext | None = None) -> None:
        self._tls = tls
        self._loop = LoopThread("listener")
        (self._sock,) = listen("127.0.0.1", 0, "a test")
        self.port: int = self._sock.getsockname()[1]
        self.closed: Counter[str] = Counter()
        self.desk = Echo()
        self.bodies = Bodies(limits.body_max_bytes, limits.bodies_max_bytes)
        self._loop.submit(self._open(limits)).result(PATIENCE_S)

    async def _open(self, limits: Limits) -> None:
        loop = asyncio.get_running_loop()
        self.all = GrpcConnections(limits, self._count)
        self.all.watch()
        self._server = await loop.create_server(
            lambda: GrpcConnection(self.all, lambda _path: self.desk, self.bodies, loop),
            sock=self._sock,
            ssl=self._tls,
        )

    def _count(self, reason: str) -> None:
        self.closed[reason] += 1

    def do(self, act: object) -> None:
        """Run a function on the listener's loop."""

        async def done() -> None:
            act()  # type: ignore[operator]

        self._loop.submit(done()).result(PATIENCE_S)

    @property
    def untaken(self) -> int:
        """The bytes of answers that wait until their clients give room for them."""
        return sum(connection.untaken() for connection in self.all._places.open)

    def connect(self) -> Raw:
        """A client that has said hello."""
        raw = Raw(self.port)
        raw.send(PREFACE + frame(_SETTINGS, 0, 0))
        return raw

    def client(self, window: int = 65_535, receive_buffer: int | None = None) -> Peer:
        """A client that keeps to HTTP/2."""
        return Peer(self.port, window, receive_buffer)

    def looks(self) -> float:
        """How often the listener has looked at its connections, or so."""
        return time.monotonic() / self.all._period

    def close(self) -> None:
        """End it."""

        async def closed() -> None:
            self._server.close()
            self.all.close()

        self._loop.submit(closed()).result(PATIENCE_S)
        self._sock.close()
        self._loop.stop(PATIENCE_S)


@contextmanager
def grpc_listening(
    limits: Limits = TINY, tls: ssl.SSLContext | None = None
) -> Iterator[GrpcListening]:
    """A listener while the block runs."""
    opened = GrpcListening(limits, tls)
    try:
        yield opened
    finally:
        opened.close()


def frame(kind: int, flags: int, stream: int, payload: bytes = b"") -> bytes:
    """A frame (RFC 9113, 4.1)."""
    return (
        struct.pack(">I", len(payload))[1:]
        + bytes([kind, flags])
        + struct.pack(">I", stream)
        + payload
    )


def fields(path: bytes = b"/echo", *more: tuple[bytes, bytes]) -> bytes:
    """The head of a call, as literals that are never indexed (RFC 7541, 6.2.3)."""
    head = [
        (b":method", b"POST"),
        (b":scheme", b"http"),
        (b":path", path),
        (b":authority", b"x"),
        (b"content-type", b"application/grpc"),
        (b"te", b"trailers"),
        *more,
    ]
    return b"".join(b"\x10" + _string(name) + _string(value) for name, value in head)


def _string(text: bytes) -> bytes:
    assert len(text) < 127
    return bytes([len(text)]) + text


def head(stream: int, flags: int = END_HEADERS, path: bytes = b"/echo") -> bytes:
    """A frame that begins a call."""
    return frame(_HEADERS, flags, stream, fields(path))


def data(stream: int, payload: bytes, flags: int = END_STREAM) -> bytes:
    """A frame of a message."""
    return frame(_DATA, flags, stream, payload)


def reset(stream: int) -> bytes:
    """A frame that takes a call back."""
    return frame(_RESET, 0, stream, struct.pack(">I", 8))


def settings(flags: int = 0, payload: bytes = b"") -> bytes:
    """A frame of settings."""
    return frame(_SETTINGS, flags, 0, payload)


def ping(flags: int = 0, payload: bytes = bytes(8)) -> bytes:
    """A frame that asks for an answer, or gives it."""
    return frame(_PING, flags, 0, payload)


def goaway(code: int = 0) -> bytes:
    """A frame that says goodbye."""
    return frame(_GOAWAY, 0, 0, struct.pack(">II", 0, code))


def roomy() -> bytes:
    """What a client says that has room for any answer."""
    window = settings(0, struct.pack(">HI", 4, 2**31 - 1))
    return PREFACE + window + frame(_ROOM, 0, 0, struct.pack(">I", 2**30))


def continuation(stream: int, payload: bytes, flags: int = 0) -> bytes:
    """A frame that goes on with a head."""
    return frame(_CONTINUATION, flags, stream, payload)


class Raw:
    """A client that sends bytes."""

    def __init__(self, port: int, receive_buffer: int | None = None) -> None:
        self.socket = socket.socket()
        if receive_buffer is not None:
            self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer)
        self.socket.settimeout(PATIENCE_S)
        self.socket.connect(("127.0.0.1", port))

    def send(self, sent: bytes) -> bool:
        """Send; whether the other side was there for it."""
        try:
            self.socket.sendall(sent)
        except OSError:
            return False
        return True

    def everything(self) -> bytes:
        """All that comes until the other side closes or resets."""
        received = b""
        with suppress(ConnectionError):
            while piece := self.socket.recv(65536):
                received += piece
        return received

    def close(self) -> None:
        """Leave."""
        self.socket.close()


class Told:
    """What has come of one call."""

    def __init__(self) -> None:
        self.head: dict[bytes, bytes] = {}
        self.data = b""
        self.trailers: dict[bytes, bytes] = {}
        self.reset: int | None = None
        self.closed = False


class Peer:
    """A client that keeps to HTTP/2, by the same library in the other role.

    It gives room for answers only when it is asked to.
    """

    def __init__(self, port: int, window: int, receive_buffer: int | None) -> None:
        self._raw = Raw(port, receive_buffer)
        config = ngh2.Configuration(auto_window_update=False, max_send_header_block_length=2**20)
        self.session = ngh2.Connection(ngh2.Role.CLIENT, config)
        self.session.initiate_connection({ngh2.Setting.INITIAL_WINDOW_SIZE: window})
        self.goaways: list[int] = []
        self.calls: dict[int, Told] = {}
        self.pinged = 0
        self.over = self.greeted = False
        self.push()
        while not self.greeted:
            self.pull()

    def call(self, sent: bytes | None, path: bytes = b"/echo", *more: tuple[bytes, bytes]) -> int:
        """Begin a call; with something sent, that is all of it."""
        stream = self.prepare(sent, path, *more)
        self.push()
        return stream

    def prepare(
        self, sent: bytes | None, path: bytes = b"/echo", *more: tuple[bytes, bytes]
    ) -> int:
        """Have a call ready to be sent."""
        named = {b":method": b"POST", b"content-type": b"application/grpc", **dict(more)}
        head = [(b":method", named.pop(b":method")), (b":scheme", b"http"), (b":path", path)]
        head += [(b":authority", b"x"), *named.items()]
        stream = self.session.send_request(head)
        self.calls[stream] = Told()
        if sent is not None:
            self.session.send_data(stream, sent, end_stream=True)
        return stream

    def push(self) -> None:
        """Send what is to be sent."""
        with suppress(OSError):
            while piece := self.session.data_to_send():
                self._raw.socket.sendall(piece)

    def pull(self, seconds: float = PATIENCE_S) -> bool:
        """Take in what comes next; whether anything has."""
        if self.over:
            return False
        self._raw.socket.settimeout(seconds)
        try:
            piece = self._raw.socket.recv(65536)
        except TimeoutError:
            return False
        except ConnectionError:
            piece = b""
        if not piece:
            self.over = True
            return False
        self.session.receive_data(piece)
        for event in self.session.events():
            self._hear(event)
        self.push()
        for event in self.session.events():
            self._hear(event)
        return True

    def told(self, stream: int) -> Told:
        """Wait for the end of a call."""
        while not self.calls[stream].closed and not self.over:
            self.pull()
        return self.calls[stream]

    def take(self, stream: int, count: int) -> None:
        """Give room for so many bytes more."""
        self.session.acknowledge_received_data(count, stream)
        self.push()

    def close(self) -> None:
        """Leave."""
        self._raw.close()

    def _hear(self, event: ngh2.Event) -> None:
        match event:
            case ngh2.ResponseReceived(stream_id, headers, _):
                self.calls[stream_id].head = dict(headers)
                self.calls[stream_id].trailers = dict(headers)
            case ngh2.TrailersReceived(stream_id, headers):
                self.calls[stream_id].trailers = dict(headers)
            case ngh2.DataReceived(stream_id, piece, _):
                self.calls[stream_id].data += piece
            case ngh2.StreamReset(stream_id, code):
                self.calls[stream_id].reset = code
            case ngh2.StreamClosed(stream_id, _, _):
                self.calls[stream_id].closed = True
            case ngh2.GoAwayReceived(last, _, _):
                self.goaways.append(last)
            case ngh2.PingReceived(_):
                self.pinged += 1
            case ngh2.ConnectionClosed(_, _):
                self.over = True
            case ngh2.SettingsReceived(_):
                self.greeted = True
            case _:
                pass


MESSAGE = framed(b"hello")
