"""Version replicas that do harm, each in its own way, on real sockets."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path
from typing import cast

import numpy as np

from serve.models import frames
from serve.models.frames import Frame, Kind
from serve.models.incoming import Splitter

Behaviour = Callable[["FakeLink", Frame], None]
"""What a replica does with a frame."""
HELLO = b"".join(frames.encode(Frame(Kind.HELLO, 0, 0)))


class FakeLink(asyncio.Protocol):
    """One connection of a gateway to a replica that a test made."""

    def __init__(self, fake: Fake) -> None:
        self.fake = fake
        self._splitter = Splitter()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Greet, in the replica's own way."""
        self.transport = cast("asyncio.Transport", transport)
        self.fake.links.append(self)
        if self.fake.greeting:
            self.transport.write(self.fake.greeting)

    def data_received(self, data: bytes) -> None:
        """Do with each frame what the replica does."""
        for payload in self._splitter.feed(data):
            frame = frames.decode(payload)
            self.fake.asked += frame.kind is Kind.RUN
            self.fake.behaviour(self, frame)

    def send(self, frame: Frame) -> None:
        """Send a frame."""
        self.transport.write(b"".join(frames.encode(frame)))


class Fake:
    """A replica that greets and behaves as a test wants; `asked` counts its batches."""

    def __init__(self, path: Path, behaviour: Behaviour, greeting: bytes = HELLO) -> None:
        self.path = path
        self.behaviour = behaviour
        self.greeting = greeting
        self.asked = 0
        self.links: list[FakeLink] = []

    async def open(self) -> None:
        """Listen, under the name that is looked for."""
        self.path.parent.mkdir(parents=True, exist_ok=True)
        loop = asyncio.get_running_loop()
        unnamed = self.path.with_suffix(".new")
        self._server = await loop.create_unix_server(lambda: FakeLink(self), str(unnamed))
        unnamed.rename(self.path)

    def close(self) -> None:
        """End, as a crash does; the name stays."""
        self._server.close()
        for link in self.links:
            link.transport.abort()


def answers(link: FakeLink, frame: Frame) -> None:
    """Answer as the regressor does."""
    if frame.kind is Kind.RUN:
        summed = frame.tensors[0].sum(axis=1, keepdims=True) + np.float32(1)
        link.send(Frame(Kind.ANSWER, frame.version, frame.sequence, (summed,)))
    elif frame.kind is Kind.PING:
        link.send(Frame(Kind.PONG, 0, 0))


def hangs(link: FakeLink, frame: Frame) -> None:
    """Never answer anything."""


def lives(link: FakeLink, frame: Frame) -> None:
    """Never answer a batch, but say that its loop turns."""
    if frame.kind is Kind.PING:
        link.send(Frame(Kind.PONG, 0, 0))


def leaves(link: FakeLink, frame: Frame) -> None:
    """Close the connection on every batch."""
    link.transport.abort()


def babbles(link: FakeLink, frame: Frame) -> None:
    """Answer with what is no frame."""
    link.transport.write(b"\x18\0\0\0what is no frame at all!")


def answers_late(seconds: float) -> Behaviour:
    """Answer right, but so many seconds later."""

    def later(link: FakeLink, frame: Frame) -> None:
        asyncio.get_running_loop().call_later(seconds, answers, link, frame)

    return later


def fails(code: str) -> Behaviour:
    """Fail every batch with an error's code."""

    def failing(link: FakeLink, frame: Frame) -> None:
        link.send(frames.failure(frame.version, frame.sequence, code, "no"))

    return failing
