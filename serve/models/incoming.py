"""Frames out of a stream of bytes: small ones as they are read, large ones straight into place."""

from __future__ import annotations

import asyncio
from abc import ABC, abstractmethod
from struct import Struct
from typing import cast

import numpy as np

from serve.models.frames import MAX_FRAME, BrokenFrame, Frame, decode, encode
from serve.models.inside import Wire

_LENGTH = Struct("<I")
_LARGE = 2**17
"""From here on, it pays to have the system write what is still to come where it belongs."""


class Splitter:
    """Cuts a byte stream into the payloads of frames, none of more than `longest` bytes.

    Memory for a frame is reserved when its length is known. The system gives it page by page, as it
    is written to, so that a length alone costs nothing.
    """

    def __init__(self, longest: int = MAX_FRAME) -> None:
        self._longest = longest
        self._head = b""
        self._frame: memoryview | None = None
        self._filled = 0

    def feed(self, data: bytes) -> list[memoryview]:
        """Take in bytes; gives the payloads that are complete, each in memory of its own."""
        if self._frame is None and not self._head and len(data) >= _LENGTH.size:
            (length,) = _LENGTH.unpack_from(data)
            if len(data) == _LENGTH.size + length:  # Mostly: one whole frame, not to be copied.
                return [memoryview(data)[_LENGTH.size :]]
        payloads = []
        rest = memoryview(data)
        while rest:
            rest = self._begin(rest) if self._frame is None else self._fill(rest)
            payload = self._complete()
            if payload is not None:
                payloads.append(payload)
        return payloads

    def missing(self) -> memoryview | None:
        """Give where the rest of a begun frame goes, if so much is missing that it pays."""
        if self._frame is None or len(self._frame) - self._filled < _LARGE:
            return None
        return self.place()

    def place(self) -> memoryview:
        """Give where the rest of the frame goes that has begun."""
        assert self._frame is not None  # noqa: S101 - for mypy: asked only when one has begun
        return self._frame[self._filled :]

    def filled(self, count: int) -> memoryview | None:
        """Take in that so many bytes lie in place; gives the frame's payload if it is complete."""
        self._filled += count
        return self._complete()

    def _begin(self, data: memoryview) -> memoryview:
        head = self._head + bytes(data[: _LENGTH.size - len(self._head)])
        data = data[len(head) - len(self._head) :]
        self._head = head
        if len(head) == _LENGTH.size:
            (length,) = _LENGTH.unpack(head)
            if length > self._longest:
                raise BrokenFrame(f"a frame of {length} bytes is too long")
            self._head = b""
            self._frame = np.empty(length, np.uint8).data
            self._filled = 0
        return data

    def _fill(self, data: memoryview) -> memoryview:
        place = self.place()
        count = min(len(place), len(data))
        place[:count] = data[:count]
        self._filled += count
        return data[count:]

    def _complete(self) -> memoryview | None:
        frame = self._frame
        if frame is None or self._filled < len(frame):
            return None
        self._frame = None
        return frame.toreadonly()


class FrameProtocol(asyncio.Protocol, ABC):
    """One end of a connection: `receive` is given each frame, `broken` told of what is none."""

    def __init__(self, longest: int) -> None:
        self.transport: asyncio.Transport | None = None
        self._wire: Wire | None = None
        self._longest = longest
        self._splitter = Splitter(longest)
        self._rest = _Rest(self, self._splitter)

    @abstractmethod
    def receive(self, frame: Frame) -> None:
        """Take a frame; `BrokenFrame` if it has no place here."""

    @abstractmethod
    def broken(self) -> None:
        """Hear that what came is no frame."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Begin."""
        self.transport = cast("asyncio.Transport", transport)
        self._wire = transport if isinstance(transport, Wire) else None

    def data_received(self, data: bytes) -> None:
        """Take in what was read."""
        try:
            payloads = self._splitter.feed(data)
            for payload in payloads:
                self.receive(decode(payload))
            if payloads:  # Mostly; what has begun behind them is looked at when more of it comes.
                return
            if self._splitter.missing() is not None and self.transport is not None:
                self.transport.set_protocol(self._rest)
        except BrokenFrame:
            self.broken()

    def take(self, payload: memoryview) -> None:
        """Take a frame that was read into place."""
        try:
            self.receive(decode(payload))
        except BrokenFrame:
            self.broken()

    def given(self, frame: Frame) -> None:
        """Take a frame from the same process."""
        try:
            self.receive(frame)
        except BrokenFrame:
            self.broken()

    def write(self, frame: Frame) -> None:
        """Send a frame, unless the other side has gone; `BrokenFrame` for one that is too long.

        Tensors must not change until it has left; those for the same process not at all.
        """
        if self._wire is not None:
            self._wire.give(frame)
            return
        encoded = encode(frame, self._longest)
        if self.transport is not None:
            self.transport.writelines(encoded)


class _Rest(asyncio.BufferedProtocol):
    """Stands in for a protocol while the rest of a large frame is read into place."""

    def __init__(self, owner: FrameProtocol, splitter: Splitter) -> None:
        self._owner = owner
        self._splitter = splitter

    def get_buffer(self, sizehint: int) -> memoryview:
        """Give the place of what is missing, and no more, so that nothing else is read into it."""
        del sizehint
        return self._splitter.place()

    def buffer_updated(self, nbytes: int) -> None:
        """Hand back to the owner with the frame's last byte."""
        payload = self._splitter.filled(nbytes)
        if payload is not None:
            if self._owner.transport is not None:
                self._owner.transport.set_protocol(self._owner)
            self._owner.take(payload)

    def connection_lost(self, exc: Exception | None) -> None:
        """Tell the owner."""
        self._owner.connection_lost(exc)
