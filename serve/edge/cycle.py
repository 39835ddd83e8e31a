"""One inference request on its connection, from its head to its answer, without a task of its own.

What uvicorn's cycle is to an ASGI application, this is to the desk: it is called when something
has happened, and waits for nothing.
"""

from __future__ import annotations

from typing import Protocol

from configs.errors import ClientGone, WeirError
from serve.edge.bodies import Body
from serve.edge.head import Head
from serve.edge.visit import Visit


class Desk(Protocol):
    """**Protocol:** who answers the inference requests of all connections."""

    def known(self, raw: bytes, /) -> Head | None:
        """Give what a head says that was learnt before, byte for byte."""

    def learn(self, raw: bytes, head: Head, /) -> None:
        """Remember what a head says."""

    def read(self, method: bytes, path: str, fields: list[tuple[bytes, bytes]]) -> Head | None:
        """Give what a head says, None if it does not begin an inference request."""

    def judge(self, cycle: Cycle) -> Visit:
        """Let a request in by its head, or answer it with an error."""

    def body(self, head: Head) -> Body:
        """Begin to read a body; `WeirError` when it is too large."""

    def serve(self, cycle: Cycle, body: bytes | memoryview) -> None:
        """Answer a request that has arrived, sooner or later."""

    def refuse(self, cycle: Cycle, error: WeirError) -> None:
        """Answer a request with an error; one that is with the model is given up."""


class Wire(Protocol):
    """**Protocol:** the connection, as a cycle sees it."""

    def ask_to_continue(self) -> None:
        """Tell a client that waits for it to send its body."""

    def write_answer(self, cycle: Cycle, status: int, head: bytes, body: bytes) -> None:
        """Write an answer, unless the client has left, and go on with the next request."""


class Cycle:
    """One request: its head, its body as it arrives, and where its answer goes.

    A request behind others on its connection begins when they are answered; until then it only
    collects its body. `response_started`, `response_complete` and `keep_alive` are as uvicorn
    knows them of a cycle of its own.
    """

    __slots__ = (
        "_begun",
        "_body",
        "_desk",
        "_fault",
        "_gone",
        "_whole",
        "_wire",
        "head",
        "keep_alive",
        "response_complete",
        "response_started",
        "visit",
    )

    visit: Visit

    def __init__(self, wire: Wire, desk: Desk, head: Head) -> None:
        self._wire = wire
        self._desk = desk
        self.head = head
        self.keep_alive = True
        self.response_started = self.response_complete = False
        self._begun = self._gone = False
        self._body: Body | None = None
        self._whole: bytes | memoryview | None = None
        self._fault: WeirError | None = None

    def begin(self) -> None:
        """Start: nobody is before it any more."""
        if self._gone:
            return
        self._begun = True
        self.visit = self._desk.judge(self)
        if self.response_started:
            return
        if self._fault is not None:
            self._desk.refuse(self, self._fault)
        elif self._whole is not None:
            whole, self._whole = self._whole, None
            self._desk.serve(self, whole)
        elif self.head.expects:
            self._wire.ask_to_continue()

    def serve(self, body: bytes) -> None:
        """Start with a request that has come at once, as a whole."""
        self._begun = True
        self.visit = self._desk.judge(self)
        if not self.response_started:
            self._desk.serve(self, body)

    def take(self, part: bytes | memoryview) -> None:
        """Take in a part of the body."""
        if self.response_started or self._fault is not None:
            return
        try:
            self._reading().take(part)
        except WeirError as error:
            self._wrong(error)

    def rest(self) -> memoryview | None:
        """Give where the rest of a large body goes, None if it is to come in parts."""
        length = self.head.large
        if not length or not self._begun or self.response_started or self._fault is not None:
            return None
        return self._reading().rest(length)

    def filled(self, count: int) -> None:
        """Take in that so much of the rest has come."""
        if self.response_started or self._fault is not None:
            return
        try:
            self._reading().filled(count)
        except WeirError as error:
            self._wrong(error)

    def arrived(self) -> None:
        """Go on: the whole request has come."""
        if self.response_started or self._fault is not None:
            return
        try:
            whole = self._reading().whole()
        except WeirError as error:
            self._wrong(error)
            return
        if self._begun:
            self._desk.serve(self, whole)
        else:
            self._whole = whole

    def answer(self, status: int, head: bytes, body: bytes) -> None:
        """Write the answer: a status, header fields of ours, a body."""
        if self._body is not None:
            self._release()
        self.response_started = True
        self._wire.write_answer(self, status, head, body)

    def left(self) -> None:
        """Give up: the client has left, or its request can no longer be understood."""
        self._release()
        self._whole = None
        self._gone = True
        if self._begun and not self.response_started:
            gone = "the client left before it got its answer"
            self._desk.refuse(self, ClientGone(gone))

    def _reading(self) -> Body:
        if self._body is None:
            self._body = self._desk.body(self.head)
        return self._body

    def _wrong(self, error: WeirError) -> None:
        self._release()
        self._fault = error
        if self._begun:
            self._desk.refuse(self, error)

    def _release(self) -> None:
        if self._body is not None:
            self._body.release()
            self._body = None
