"""One connection between a gateway replica and a version replica."""

from __future__ import annotations

import asyncio
from math import inf
from time import perf_counter
from typing import Protocol

from configs.errors import ModelFailed, NotReady, TooLarge, Unavailable, WeirError
from serve.models.batch import Batch
from serve.models.batcher import Batcher
from serve.models.curve import Curve
from serve.models.frames import MAX_FRAME, BrokenFrame, Frame, Kind
from serve.models.hang import Out
from serve.models.health import Reason
from serve.models.incoming import FrameProtocol
from serve.models.pace import Pace

_FAILURES: dict[str, type[WeirError]] = {
    error.code: error for error in (ModelFailed, NotReady, Unavailable)
}


class Keeper(Protocol):
    """**Protocol:** who keeps a link, and decides what becomes of a batch that it lost."""

    def link_lost(self, batch: Batch | None, reason: Reason | None) -> None:
        """Take back the batch that was out; `reason` says what the replica did, if it did harm."""

    def batch_refused(self, batch: Batch, error: WeirError) -> None:
        """Take back a batch that the replica, not its model, could not run."""

    def run_failed(self) -> None:
        """Hear that a batch failed, for whatever reason, before the link takes another."""


class Link(FrameProtocol):
    """Carries one batch at a time to a version replica, and tells how long each was out."""

    def __init__(
        self, version: int, batcher: Batcher, pace: Pace, keeper: Keeper, longest: int = MAX_FRAME
    ) -> None:
        super().__init__(longest)
        self._version = version
        self._batcher = batcher
        self._pace = pace
        self._keeper = keeper
        self._out: Batch | None = None
        self._sequence = 0
        self._pinged_at: float | None = None
        self._leaving = False
        self._withheld = False
        self._reason: Reason | None = Reason.LOST
        self._greeted: asyncio.Future[bool] = asyncio.get_running_loop().create_future()

    @property
    def is_open(self) -> bool:
        """Whether the replica can be reached over this link."""
        return self.transport is not None

    async def greeted(self, timeout_s: float) -> bool:
        """Wait for the replica's hello; without it the link is closed.

        The system accepts connections for a process that is dying: only a word of its own shows
        that a batch would not be lost on it.
        """
        hello = False
        try:
            async with asyncio.timeout(timeout_s):
                hello = await asyncio.shield(self._greeted)
        except TimeoutError:
            return False
        finally:
            if not hello:
                self.abort()
        return hello and self.is_open

    def carry(self, batch: Batch) -> None:
        """Send a batch."""
        self._out = batch
        self._sequence += 1
        frame = Frame(Kind.RUN, self._version, self._sequence, batch.tensors(), batch.traces())
        try:
            self.write(frame)
        except BrokenFrame:
            asyncio.get_running_loop().call_soon(self._refuse, batch)

    def offer(self) -> None:
        """Be given batches."""
        self._withheld = self._leaving
        self._free()

    def offer_once(self) -> None:
        """Be given one batch and no more."""
        if self._out is None and self.is_open:
            self._batcher.withdraw(self)
            self._batcher.free(self)

    def withhold(self) -> None:
        """Be given no more batches; the one that is out comes back."""
        self._withheld = True
        self._batcher.withdraw(self)

    def out(self, now: float) -> Out | None:
        """Say what is out; `now` is a reading of the loop's clock."""
        batch = self._out
        if batch is None:
            return None
        clock = perf_counter()
        left_s = min((job.deadline for job in batch.jobs if not job.answer.done()), default=inf)
        silent_s = None if self._pinged_at is None else clock - self._pinged_at
        return Out(clock - batch.left_at, batch.rows, left_s - now, silent_s)

    def ping(self) -> None:
        """Ask the replica for a word, whatever its model does."""
        if self._pinged_at is None and self.transport is not None:
            self._pinged_at = perf_counter()
            self.write(Frame(Kind.PING, 0, 0))

    def drop(self) -> None:
        """Close the connection: what comes back is of no use to anyone."""
        self._reason = None
        self.abort()

    def abort(self, reason: Reason | None = None) -> None:
        """Close at once; a batch that is out counts as lost."""
        self._reason = reason or self._reason
        if self.transport is not None:
            self.transport.abort()

    def broken(self) -> None:
        """Leave a replica that does not speak frames."""
        self.abort(Reason.RUBBISH)

    def connection_lost(self, exc: Exception | None) -> None:
        """Give a batch that is out back to the keeper."""
        del exc
        self.transport = None
        self._batcher.withdraw(self)
        if not self._greeted.done():
            self._greeted.set_result(False)
        batch, self._out = self._out, None
        self._keeper.link_lost(batch, None if self._leaving else self._reason)

    def receive(self, frame: Frame) -> None:
        """Take the answer to the batch that is out, or another word of the replica."""
        if frame.kind is Kind.ANSWER:
            batch = self._out
            if batch is None or frame.sequence != self._sequence:
                raise BrokenFrame("an answer to nothing that was asked")
            self._out = None
            self._pace.note(perf_counter() - batch.left_at, batch.rows)
            self._batcher.answered(batch, frame.tensors, None if self._withheld else self)
            if self._leaving:
                self._close_if_left()
        elif frame.kind is Kind.FAILURE:
            self._receive_failure(frame)
        elif frame.kind is Kind.HELLO and not self._greeted.done():
            if frame.tensors:
                self._batcher.learn(Curve.read(frame.tensors))
            self._greeted.set_result(True)
        elif frame.kind is Kind.PONG:
            self._pinged_at = None
        elif frame.kind is Kind.GOODBYE:
            self._leaving = True
            self.withhold()
            self._close_if_left()
        else:
            raise BrokenFrame(f"a {frame.kind.name} has no place here")

    def _receive_failure(self, frame: Frame) -> None:
        error, batch = _error(frame), self._out
        if batch is None or frame.sequence != self._sequence:
            raise BrokenFrame("a failure of nothing that was asked")
        self._out = None
        if error.code == Unavailable.code:  # Its model is not in memory: no fault of the replica.
            self._batcher.failed(batch, error)
        else:
            self._pace.note_failure()
            self._keeper.run_failed()
            if isinstance(error, ModelFailed):
                self._batcher.failed(batch, error)
            else:
                self._keeper.batch_refused(batch, error)
        self._free()
        if self._leaving:
            self._close_if_left()

    def _free(self) -> None:
        if not self._withheld and self._out is None and self.transport is not None:
            self._batcher.withdraw(self)
            self._batcher.free(self)

    def _close_if_left(self) -> None:
        if self._out is None and self.transport is not None:
            self.transport.close()

    def _refuse(self, batch: Batch) -> None:
        """Give back a batch that no frame can hold, and be free for another."""
        if self._out is batch:
            self._out = None
            self._batcher.failed(
                batch, TooLarge("the request is too large for the way to its model")
            )
            self._free()


def _error(frame: Frame) -> WeirError:
    """Give the error that a failure speaks of; `BrokenFrame` if it speaks of none."""
    if len(frame.tensors) != 1 or frame.tensors[0].dtype != object or frame.tensors[0].size != 2:
        raise BrokenFrame("a failure that does not say why")
    code, message = frame.tensors[0].ravel().tolist()
    return _FAILURES.get(code, ModelFailed)(message)
