"""The links between a gateway replica and the replicas of one version."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable
from pathlib import Path
from typing import cast

from configs.errors import ModelFailed, NotReady, TooLarge, Unavailable, WeirError
from serve.models import frames
from serve.models.addresses import Address, addresses, forget
from serve.models.batch import Batch
from serve.models.batcher import Batcher
from serve.models.curve import Curve
from serve.models.frames import BrokenFrame, Frame, Kind

_LOOK_AGAIN_S = 0.5
_LOOK_SOON_S = 0.01
_HELLO_S = 1.0
_FAILURES: dict[str, type[WeirError]] = {
    error.code: error for error in (ModelFailed, NotReady, Unavailable)
}


class Link(asyncio.Protocol):
    """One connection to a version replica; carries one batch at a time."""

    def __init__(self, version: int, batcher: Batcher, on_lost: Callable[[], None]) -> None:
        self._version = version
        self._batcher = batcher
        self._on_lost = on_lost
        self._splitter = frames.Splitter()
        self._transport: asyncio.Transport | None = None
        self._out: Batch | None = None
        self._sequence = 0
        self._leaving = False
        self._greeted: asyncio.Future[bool] = asyncio.get_running_loop().create_future()

    @property
    def is_open(self) -> bool:
        """Whether the replica can be reached over this link."""
        return self._transport is not None

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

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Wait for the replica's hello."""
        self._transport = cast("asyncio.Transport", transport)

    def carry(self, batch: Batch) -> None:
        """Send a batch."""
        self._out = batch
        self._sequence += 1
        frame = Frame(Kind.RUN, self._version, self._sequence, batch.tensors(), batch.traces())
        try:
            encoded = frames.encode(frame)
        except BrokenFrame:
            asyncio.get_running_loop().call_soon(self._refuse, batch)
            return
        if self._transport is not None:
            self._transport.writelines(encoded)

    def _refuse(self, batch: Batch) -> None:
        """Give back a batch that no frame can hold, and be free for another."""
        if self._out is batch:
            self._out = None
            self._batcher.failed(
                batch, TooLarge("the request is too large for the way to its model")
            )
            self._batcher.free(self)

    def drop(self) -> None:
        """Close the connection: what comes back is of no use to anyone."""
        self.abort()

    def abort(self) -> None:
        """Close at once; a batch that is out counts as lost."""
        if self._transport is not None:
            self._transport.abort()

    def data_received(self, data: bytes) -> None:
        """Take the answer to the batch that is out, or the replica's goodbye."""
        try:
            for payload in self._splitter.feed(data):
                self._receive(frames.decode(payload))
        except BrokenFrame:
            self.abort()

    def connection_lost(self, exc: Exception | None) -> None:
        """Give a batch that is out back to the batcher."""
        del exc
        self._transport = None
        self._batcher.withdraw(self)
        if not self._greeted.done():
            self._greeted.set_result(False)
        batch, self._out = self._out, None
        self._on_lost()
        if batch is not None:
            self._batcher.lost(batch)

    def _receive(self, frame: Frame) -> None:
        if frame.kind is Kind.HELLO and not self._greeted.done():
            if frame.tensors:
                self._batcher.learn(Curve.read(frame.tensors))
            self._greeted.set_result(True)
            self._batcher.free(self)
        elif frame.kind is Kind.GOODBYE:
            self._leaving = True
            self._batcher.withdraw(self)
        elif self._out is not None and frame.sequence == self._sequence:
            batch, self._out = self._out, None
            if frame.kind is Kind.ANSWER:
                again = None if self._leaving else self
                self._batcher.answered(batch, frame.tensors, again)
            else:
                self._batcher.failed(batch, _error(frame))
                if not self._leaving:
                    self._batcher.free(self)
        if self._leaving and self._out is None and self._transport is not None:
            self._transport.close()


class Links:
    """Keeps a link to every replica of one version: looks for new ones, notices lost ones."""

    def __init__(self, version: int, versions: Path, batcher: Batcher) -> None:
        self._loop = asyncio.get_running_loop()
        self._version = version
        self._folder = versions
        self._batcher = batcher
        self._links: dict[Address, Link] = {}
        self._changed = asyncio.Event()
        self._look_soon = asyncio.Event()
        self.was_connected = False
        self._task = self._loop.create_task(self._keep())

    @property
    def connected(self) -> bool:
        """Whether at least one replica can be reached."""
        return bool(self._links)

    async def wait_connected(self) -> None:
        """Return as soon as a replica can be reached."""
        while not self._links:
            self._changed.clear()
            await self._changed.wait()

    async def close(self) -> None:
        """Drop all links; requests that wait are told that the version has gone."""
        self._task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await self._task
        self._batcher.close(NotReady(f"version {self._version} is no longer served"))
        for link in [*self._links.values()]:
            link.abort()

    async def _keep(self) -> None:
        while True:
            for address in addresses(self._folder):
                if address not in self._links:
                    await self._connect(address)
            self._look_soon.clear()
            if not self._links:
                await asyncio.sleep(_LOOK_SOON_S)
                continue
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(_LOOK_AGAIN_S):
                    await self._look_soon.wait()

    async def _connect(self, address: Address) -> None:
        def lost() -> None:
            self._links.pop(address, None)
            self._look_soon.set()

        link = Link(self._version, self._batcher, lost)
        try:
            await self._loop.create_unix_connection(lambda: link, address)
        except ConnectionRefusedError:
            with contextlib.suppress(OSError):
                forget(address)  # Its replica died without a goodbye.
            return
        except OSError:  # It has gone, or cannot be reached now: the next look may find it.
            return
        if not await link.greeted(_HELLO_S):
            return
        self._links[address] = link
        self.was_connected = True
        self._changed.set()


def _error(frame: Frame) -> WeirError:
    code, message = frame.tensors[0].tolist()
    return _FAILURES.get(code, ModelFailed)(message)
