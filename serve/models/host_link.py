"""The host's end of a link: frames of one gateway replica in, answers out."""

from __future__ import annotations

import asyncio
import logging
from contextlib import AbstractAsyncContextManager
from typing import Protocol

from configs.errors import ModelFailed, WeirError
from registry.inference import RunOptions
from serve.models import frames
from serve.models.curve import Curve
from serve.models.dial import watch
from serve.models.frames import MAX_FRAME, BrokenFrame, Frame, Kind
from serve.models.incoming import FrameProtocol

_log = logging.getLogger("weir.host")


class Runner(Protocol):
    """**Protocol:** who runs the batches that arrive on a link."""

    curve: Curve | None
    """How long runs take, if that has been measured."""

    def quick(self, frame: Frame) -> bool:
        """Whether a batch runs so shortly that a thread would cost more than it frees."""

    def use(self) -> AbstractAsyncContextManager[None]:
        """Have the model in memory while the block runs."""

    def answer(self, frame: Frame, options: RunOptions | None = None) -> Frame:
        """Run a batch; an error becomes a frame that says why."""


class HostLink(FrameProtocol):
    """One gateway replica's connection."""

    def __init__(
        self,
        host: Runner,
        links: set[HostLink],
        empty: asyncio.Event,
        longest: int = MAX_FRAME,
    ) -> None:
        super().__init__(longest)
        self._host = host
        self._links = links
        self._empty = empty
        self._tasks: set[asyncio.Task[None]] = set()
        self._running: set[RunOptions] = set()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Say hello, and how long runs take."""
        super().connection_made(transport)
        watch(transport)
        self._links.add(self)
        self._empty.clear()
        curve = self._host.curve
        self.send(Frame(Kind.HELLO, 0, 0, curve.tensors() if curve is not None else ()))

    def connection_lost(self, exc: Exception | None) -> None:
        """End what runs for a gateway replica that has gone."""
        del exc
        self.transport = None
        for options in self._running:
            options.terminate = True  # Nobody waits for the answer any more.
        self._links.discard(self)
        if not self._links:
            self._empty.set()

    def broken(self) -> None:
        """Leave a peer that does not speak frames."""
        self.abort()

    def send(self, frame: Frame) -> None:
        """Write a frame, unless the other side has gone; one that is too long is a failure."""
        try:
            self.write(frame)
        except BrokenFrame as error:
            _log.warning("an answer cannot be sent: %s", error)
            self.write(failed(frame))

    def abort(self) -> None:
        """Close at once."""
        if self.transport is not None:
            self.transport.abort()

    def receive(self, frame: Frame) -> None:
        """Run a batch."""
        if frame.kind is not Kind.RUN:
            self._reply(frame)
        elif self._host.quick(frame):
            self.send(self._host.answer(frame))
        else:
            task = asyncio.get_running_loop().create_task(self._serve_in_thread(frame))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)

    def _reply(self, frame: Frame) -> None:
        """Show that this loop turns, whatever runs in its threads."""
        if frame.kind is not Kind.PING:
            raise BrokenFrame(f"a {frame.kind.name} has no place here")
        self.send(Frame(Kind.PONG, 0, 0))

    async def _serve_in_thread(self, frame: Frame) -> None:
        options = RunOptions()
        self._running.add(options)
        try:
            async with self._host.use():
                if self.transport is not None:  # Who asked may have left while it was loaded.
                    self.send(await asyncio.to_thread(self._host.answer, frame, options))
        except WeirError as error:
            self.send(frames.failure(frame.version, frame.sequence, error.code, error.message))
        except Exception:  # noqa: BLE001 - the process boundary; counted by its code
            _log.exception("a batch could not be run")
            self.send(failed(frame))
        finally:
            self._running.discard(options)


def failed(frame: Frame) -> Frame:
    """Give the frame that says that a model failed, and no more."""
    sentence = "the model failed on these inputs; the gateway's log says why"
    return frames.failure(frame.version, frame.sequence, ModelFailed.code, sentence)
