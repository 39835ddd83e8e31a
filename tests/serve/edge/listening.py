"""A real listener on a real port, with tiny limits and an application that a test can watch."""

from __future__ import annotations

import asyncio
import socket
import weakref
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from configs.errors import ClientGone, WeirError
from configs.settings import Limits
from serve.edge.bodies import Bodies, Body
from serve.edge.cycle import Cycle
from serve.edge.errors import fields, render
from serve.edge.head import Head, Heads
from serve.edge.listener import Listener
from serve.edge.visit import Visit
from serve.node.loop_thread import LoopThread
from serve.node.sockets import listen
from serve.protocol.paths import Ask, Endpoint

SLOW_S = 0.2
PATIENCE_S = 20.0
TINY = Limits(slow_s=SLOW_S, slow_bytes_per_s=10_000, connections_max=4)


class Application:
    """Answers by path: `/echo` the body, `/early` at once, `/large` much, `/wait` when told.

    `seen` are the requests that began.
    """

    def __init__(self) -> None:
        self.seen: list[tuple[str, str]] = []
        self.bodies: list[bytes] = []
        self.headers: list[dict[bytes, bytes]] = []
        self.go = asyncio.Event()

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        """Answer one request."""
        self.seen.append((scope["method"], scope["path"]))
        answer = b"early"
        if scope["path"] != "/early":
            answer = await self._read(receive)
        if scope["path"] == "/wait":
            await self.go.wait()
        if scope["path"] == "/large":
            answer = bytes(2**23)
        self.headers.append(dict(scope["headers"]))
        headers = [(b"content-length", b"%d" % len(answer))]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        await send({"type": "http.response.body", "body": answer})

    async def _read(self, receive: Any) -> bytes:
        body, more = b"", True
        while more:
            message = await receive()
            if message["type"] == "http.disconnect":
                return b""
            body += message.get("body", b"")
            more = message.get("more_body", False)
        self.bodies.append(body)
        return body


class Echo:
    """A desk that answers every request as the application would; `left` counts who left.

    `places` are where large bodies lay. While there is an `early` answer, all get it by their head.
    """

    def __init__(self, application: Application, limits: Limits) -> None:
        self._application = application
        self.bodies = Bodies(limits.body_max_bytes, limits.bodies_max_bytes)
        self._waiting: list[Cycle] = []
        self._fields: dict[Head, dict[bytes, bytes]] = {}
        heads = Heads()
        self.known, self.learn = heads.known, heads.learn
        self.left = 0
        self.early: bytes | None = None
        self.places: list[weakref.ref[Any]] = []

    def read(self, method: bytes, path: str, fields: list[tuple[bytes, bytes]]) -> Head | None:
        """Take everything."""
        head = Head(Endpoint(Ask.INFER, path, method.decode()), fields)
        self._fields[head] = dict(fields)
        return head

    def judge(self, cycle: Cycle) -> Visit:
        """Let everybody in, and answer at once who asks for it."""
        _, path, method = cycle.head.endpoint
        self._application.seen.append((str(method), path))
        cycle.visit = Visit(0.0, 0.0)
        if self.early is not None or path == "/early":
            self._answer(cycle, self.early or b"early")
        return cycle.visit

    def body(self, head: Head) -> Body:
        """Read the body."""
        return Body(self.bodies, head.encoding)

    def serve(self, cycle: Cycle, body: bytes | memoryview) -> None:
        """Answer by path."""
        if isinstance(body, memoryview):
            self.places.append(weakref.ref(body.obj))
        body = bytes(body)
        self._application.bodies.append(body)
        path = cycle.head.endpoint.model
        if path == "/wait" and not self._application.go.is_set():
            self._waiting.append(cycle)
        else:
            self._answer(cycle, bytes(2**23) if path == "/large" else body)

    def refuse(self, cycle: Cycle, error: WeirError) -> None:
        """Count who left, and tell others what is wrong."""
        if cycle in self._waiting:
            self._waiting.remove(cycle)
        self.left += isinstance(error, ClientGone)
        status, headers, body = render(error, "0")
        cycle.answer(status, fields(headers), body)

    def go(self) -> None:
        """Answer those who wait."""
        while self._waiting:
            self._answer(self._waiting.pop(0), b"")

    def _answer(self, cycle: Cycle, body: bytes) -> None:
        self._application.headers.append(self._fields[cycle.head])
        cycle.answer(200, b"content-length: %d\r\n" % len(body), body)


class Listening:
    """A listener on a loop of its own, and what it counted."""

    def __init__(self, limits: Limits, *, desk: bool) -> None:
        self._has_desk = desk
        self._loop = LoopThread("listener")
        (self._sock,) = listen("127.0.0.1", 0, "a test")
        self.port: int = self._sock.getsockname()[1]
        self.closed: Counter[str] = Counter()
        self._loop.submit(self._open(limits)).result(PATIENCE_S)

    async def _open(self, limits: Limits) -> None:
        self.application = Application()
        self.desk = Echo(self.application, limits)
        self._listener = Listener(
            self.application,
            limits,
            self._count,
            desk=self.desk if self._has_desk else None,
        )
        await self._listener.open(self._sock)

    def _count(self, reason: str) -> None:
        self.closed[reason] += 1

    @property
    def connections(self) -> int:
        """How many connections are open."""
        return self._listener.connections

    def go(self) -> None:
        """Let those who wait have their answers."""

        async def gone() -> None:
            self.application.go.set()
            self.desk.go()

        self._loop.submit(gone()).result(PATIENCE_S)

    def connect(self) -> socket.socket:
        """A bare connection."""
        return socket.create_connection(("127.0.0.1", self.port), timeout=PATIENCE_S)

    def close(self) -> None:
        """End it."""
        self.go()
        self._loop.submit(self._listener.drain(0.0, 0.0, lambda: False)).result(PATIENCE_S)
        self._sock.close()
        self._loop.stop(PATIENCE_S)


@contextmanager
def listening(limits: Limits = TINY, *, desk: bool = False) -> Iterator[Listening]:
    """A listener while the block runs; its requests are answered by the application or the desk."""
    opened = Listening(limits, desk=desk)
    try:
        yield opened
    finally:
        opened.close()


def everything(connection: socket.socket) -> bytes:
    """All that comes until the other side closes or resets."""
    received = b""
    try:
        while piece := connection.recv(65536):
            received += piece
    except ConnectionResetError:
        pass
    return received


def answer(connection: socket.socket) -> tuple[int, bytes]:
    """The status and body of the one answer that comes next."""
    received = b""
    while b"\r\n\r\n" not in received:
        piece = connection.recv(1)  # Not a byte of what may follow.
        assert piece, "closed without an answer"
        received += piece
    head, body = received, b""
    length = next(
        int(line.partition(b":")[2])
        for line in head.split(b"\r\n")
        if line.lower().startswith(b"content-length")
    )
    while len(body) < length:
        body += connection.recv(length - len(body))
    return int(head.split(b" ", 2)[1]), body
