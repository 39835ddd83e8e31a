"""The host's end of a link: frames of one gateway replica in, answers out."""

from __future__ import annotations

import asyncio
import logging
from typing import Protocol, cast

from configs.errors import ModelFailed
from registry.inference import RunOptions
from serve.models import frames
from serve.models.curve import Curve
from serve.models.frames import BrokenFrame, Frame, Kind

_log = logging.getLogger("weir.host")


class Runner(Protocol):
    """**Protocol:** who runs the batches that arrive on a link."""

    curve: Curve | None
    """How long runs take, if that has been measured."""

    def quick(self, frame: Frame) -> bool:
        """Whether a batch runs so shortly that a thread would cost more than it frees."""

    def answer(self, frame: Frame, options: RunOptions | None = None) -> Frame:
        """Run a batch; an error becomes a frame that says why."""


class HostLink(asyncio.Protocol):
    """One gateway replica's connection."""

    def __init__(self, host: Runner, links: set[HostLink], empty: asyncio.Event) -> None:
        self._host = host
        self._links = links
        self._empty = empty
        self._splitter = frames.Splitter()
        self._transport: asyncio.Transport | None = None
        self._tasks: set[asyncio.Task[None]] = set()
        self._running: set[RunOptions] = set()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Say hello, and how long runs take."""
        self._transport = cast("asyncio.Transport", transport)
        self._links.add(self)
        self._empty.clear()
        curve = self._host.curve
        self.send(Frame(Kind.HELLO, 0, 0, curve.tensors() if curve is not None else ()))

    def connection_lost(self, exc: Exception | None) -> None:
        """End what runs for a gateway replica that has gone."""
        del exc
        self._transport = None
        for options in self._running:
            options.terminate = True  # Nobody waits for the answer any more.
        self._links.discard(self)
        if not self._links:
            self._empty.set()

    def data_received(self, data: bytes) -> None:
        """Run the batches that have arrived."""
        try:
            for payload in self._splitter.feed(data):
                self._serve(frames.decode(payload))
        except BrokenFrame:
            self.abort()

    def send(self, frame: Frame) -> None:
        """Write a frame, unless the other side has gone; one that is too long is a failure."""
        try:
            encoded = frames.encode(frame)
        except BrokenFrame as error:
            _log.warning("an answer cannot be sent: %s", error)
            encoded = frames.encode(failed(frame))
        if self._transport is not None:
            self._transport.writelines(encoded)

    def abort(self) -> None:
        """Close at once."""
        if self._transport is not None:
            self._transport.abort()

    def _serve(self, frame: Frame) -> None:
        if self._host.quick(frame):
            self.send(self._host.answer(frame))
            return
        task = asyncio.get_running_loop().create_task(self._serve_in_thread(frame))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _serve_in_thread(self, frame: Frame) -> None:
        options = RunOptions()
        self._running.add(options)
        try:
            self.send(await asyncio.to_thread(self._host.answer, frame, options))
        finally:
            self._running.discard(options)


def failed(frame: Frame) -> Frame:
    """Give the frame that says that a model failed, and no more."""
    sentence = "the model failed on these inputs; the gateway's log says why"
    return frames.failure(frame.version, frame.sequence, ModelFailed.code, sentence)
