"""One gRPC call on its connection, from its head to its answer, without a task of its own."""

from __future__ import annotations

import asyncio
from typing import Protocol

from configs.errors import BadInput, WeirError
from serve.access.principal import ANONYMOUS, Principal
from serve.edge.bodies import Bodies
from serve.edge.grpc_head import Head
from serve.edge.grpc_messages import Messages
from serve.edge.grpc_reply import Fields
from serve.edge.visit import Visit
from serve.protocol.grpc_frames import framed


class Desk(Protocol):
    """**Protocol:** who answers the calls of a service."""

    def begin(self, call: Call) -> None:
        """Let a call in by its head, or end it."""

    def serve(self, call: Call, message: bytes) -> None:
        """Answer the one message of a call, or one of a stream; what it raises ends the call."""

    def ended(self, call: Call) -> None:
        """Go on: the client sends nothing more on its stream."""

    def refuse(self, call: Call, error: WeirError) -> None:
        """End a call with an error."""

    def left(self, call: Call, /) -> None:
        """Give up a call: nobody waits for its answer any more."""


class Wire(Protocol):
    """**Protocol:** the connection, as a call sees it."""

    def check_room(self) -> None:
        """Refuse an answer where too many wait to be taken: `Overloaded`."""

    def write(self, call: Call, data: bytes, trailers: Fields | None, *, first: bool) -> None:
        """Write a part of an answer, soon; the `first` has the head, the last has trailers."""


class Call:
    """A call: its head, its messages as they arrive, and where its answer goes.

    With `streams` each message is answered when it comes; without, there must be exactly one.
    `ended` is whether the client has sent all, which so far are `received` bytes in `parts` parts;
    `over` whether it is answered. `sent` are the bytes of its answer, of which `untaken` were not
    taken at the end. The wait for the client began at `since`, when its connection had moved
    `moved` bytes.
    """

    __slots__ = (
        "_begun",
        "_messages",
        "_whole",
        "_wire",
        "desk",
        "ended",
        "head",
        "moved",
        "over",
        "parts",
        "principal",
        "received",
        "sent",
        "since",
        "stream_id",
        "streams",
        "task",
        "untaken",
        "visit",
    )

    visit: Visit

    def __init__(self, wire: Wire, stream_id: int, head: Head, desk: Desk, bodies: Bodies) -> None:
        self._wire = wire
        self._messages = Messages(bodies, head.encoding)
        self._whole: bytes | None = None
        self._begun = False
        self.stream_id = stream_id
        self.head = head
        self.desk = desk
        self.since = 0.0
        self.received = self.parts = self.sent = self.moved = self.untaken = 0
        self.ended = self.over = self.streams = False
        self.principal: Principal = ANONYMOUS
        self.task: asyncio.Task[None] | None = None

    def waits(self, now: float, moved: int, untaken: int) -> None:
        """Begin to wait for the client: for what it sends, or until it takes the answer."""
        self.since, self.moved, self.untaken = now, moved, untaken

    def take(self, part: bytes) -> None:
        """Take in a part of what the client sends."""
        self.parts += 1
        self.received += len(part)
        if self.over:
            return
        try:
            for message in self._messages.take(part):
                self._message(message)
        except WeirError as error:
            self.desk.refuse(self, error)

    def end(self) -> None:
        """Go on: the client has sent all that it sends."""
        self.ended = True
        if self.over:
            return
        if self._messages.cut_off:
            self.desk.refuse(self, BadInput("the message is shorter than its length says"))
        elif self.streams:
            self.desk.ended(self)
        elif self._whole is None:
            self.desk.refuse(self, BadInput("the call has no message"))
        else:
            message, self._whole = self._whole, None
            try:
                self.desk.serve(self, message)
            except WeirError as error:
                self.desk.refuse(self, error)

    def left(self) -> None:
        """Give up, unless the call is over: the client has left."""
        if self.over:
            return
        self._finish()
        task, self.task = self.task, None
        if task is not None:
            task.cancel()
        self.desk.left(self)

    def send(self, message: bytes) -> None:
        """Send one message of an answer that goes on; `Overloaded` while too many wait."""
        if not self.over:
            self._wire.check_room()
            begun, self._begun = self._begun, True
            data = framed(message)
            self.sent += len(data)
            self._wire.write(self, data, None, first=not begun)

    def answer(self, message: bytes, trailers: Fields) -> None:
        """Send an answer of one message; `Overloaded` while too many wait."""
        self._wire.check_room()
        self._finish()
        data = framed(message)
        self.sent = len(data)
        self._wire.write(self, data, trailers, first=True)

    def finish(self, trailers: Fields) -> None:
        """End the call, after the messages that were sent or without any."""
        if not self.over:
            self._finish()
            self._wire.write(self, b"", trailers, first=not self._begun)

    def _message(self, message: bytes) -> None:
        if self.over:
            return
        if self.streams:
            self.desk.serve(self, message)
            self._messages.release_whole()
        elif self._whole is None:
            self._whole = message
        else:
            raise BadInput("the call has more than one message")

    def _finish(self) -> None:
        self.over = True
        self._messages.release()
