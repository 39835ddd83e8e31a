"""A version replica without Ray: answers batches that arrive on its Unix socket."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import ssl
import time
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from pathlib import Path
from typing import Protocol

from configs.errors import ModelFailed, NotReady, WeirError
from registry.inference import RunOptions
from serve.models import frames, inside
from serve.models.addresses import Address, forget_dead, is_inside
from serve.models.curve import Curve
from serve.models.frames import MAX_FRAME, Frame, Kind, Tensors
from serve.models.host_link import HostLink, failed
from serve.models.run_times import ALONE, BESIDE_OTHERS, Patience, RunTimes, counted

Run = Callable[[Tensors, RunOptions | None], Tensors]
"""Runs a batch; options come with a run in a thread, which ends when they say `terminate`."""
Traced = Callable[[tuple[str, ...], float], None]
"""Told of the trace contexts of a batch that ran, and for how many seconds."""

_COMPLAIN_EVERY_S = 1.0
_log = logging.getLogger("weir.host")


class Memory(Protocol):
    """**Protocol:** what has a model in memory when it is to run."""

    @property
    def present(self) -> bool:
        """Whether it is in memory now."""

    def use(self) -> AbstractAsyncContextManager[None]:
        """Have it in memory while the block runs; `Unavailable` if that takes too long."""


class Always:
    """The memory of a model that has its process for itself."""

    present = True

    def use(self) -> AbstractAsyncContextManager[None]:
        """Do nothing."""
        return contextlib.nullcontext()


class Host:
    """Listens for batches of one version and answers them one by one.

    Gateway replicas that connect are told its `curve`.
    """

    def __init__(
        self,
        version: int,
        run: Run,
        path: Path,
        traced: Traced,
        longest: int = MAX_FRAME,
        memory: Memory | None = None,
    ) -> None:
        self._version = version
        self._run = run
        self._memory = memory or Always()
        self._own_loop = memory is None
        self._path = path
        self._address = Address(str(path))
        self._traced = traced
        self._longest = longest
        self._server: asyncio.Server | None = None
        self._for_nodes: asyncio.Server | None = None
        self._links: set[HostLink] = set()
        self._empty = asyncio.Event()
        self._empty.set()
        self.curve: Curve | None = None
        self._times = RunTimes()
        self._complain_after = 0.0

    async def open(self) -> None:
        """Start to listen; from now on gateway replicas find the socket.

        The socket gets its name only when it accepts, so that one that refuses is a dead one. A
        host inside a gateway replica's process has no socket.
        """
        self._times = RunTimes(self.curve)
        self._path.parent.mkdir(parents=True, exist_ok=True)
        if is_inside(self._address):
            forget_dead(self._path.parent)
            inside.listen(self._address, self._link)
            self._path.touch()
            return
        loop = asyncio.get_running_loop()
        unnamed = self._path.with_suffix(".new")
        self._server = await loop.create_unix_server(self._link, str(unnamed))
        unnamed.rename(self._path)

    async def open_to_nodes(self, host: str, tls: ssl.SSLContext) -> int:
        """Start to listen for gateway replicas on other nodes as well; gives the port."""
        loop = asyncio.get_running_loop()
        self._for_nodes = await loop.create_server(self._link, host, 0, ssl=tls)
        port: int = self._for_nodes.sockets[0].getsockname()[1]
        return port

    async def drain(self, timeout_s: float) -> None:
        """Leave politely: no new links, a goodbye on every link, an answer to what is in."""
        self._path.unlink(missing_ok=True)
        inside.withdraw(self._address)
        for server in (self._server, self._for_nodes):
            if server is not None:
                server.close()
        for link in [*self._links]:
            link.send(Frame(Kind.GOODBYE, self._version, 0))
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(timeout_s):
                await self._empty.wait()
        for link in [*self._links]:
            link.abort()

    def learn(self, curve: Curve) -> None:
        """Take in how long runs take, where that is known only once the model has been loaded."""
        self.curve = curve
        self._times = RunTimes(curve)

    def quick(self, frame: Frame) -> bool:
        """Whether a batch runs so shortly that a thread would cost more than it frees."""
        return self._memory.present and self._times.inline(_rows(frame), self._patience)

    def use(self) -> AbstractAsyncContextManager[None]:
        """Have the model in memory while the block runs."""
        return self._memory.use()

    def answer(self, frame: Frame, options: RunOptions | None = None) -> Frame:
        """Run a batch; an error becomes a frame that says why."""
        try:
            tensors = self._timed_run(frame, options)
            return Frame(Kind.ANSWER, frame.version, frame.sequence, tensors)
        except ModelFailed as error:
            self._complain(error)
            return failed(frame)
        except WeirError as error:
            return frames.failure(frame.version, frame.sequence, error.code, error.message)
        except Exception:  # noqa: BLE001 - the process boundary; counted by its code
            _log.exception("a run failed in a way that no model should")
            return failed(frame)

    @property
    def _patience(self) -> Patience:
        alone = is_inside(self._address) or (self._own_loop and len(self._links) == 1)
        return ALONE if alone else BESIDE_OTHERS

    def _link(self) -> HostLink:
        return HostLink(self, self._links, self._empty, self._longest)

    def _timed_run(self, frame: Frame, options: RunOptions | None) -> Tensors:
        if frame.version != self._version:
            raise NotReady(f"version {frame.version} does not live here")
        started, worked, answered = time.perf_counter(), time.thread_time(), False
        try:
            answer = self._run(frame.tensors, options)
            answered = True
        finally:
            took = time.perf_counter() - started
            counts = took if options is not None else counted(took, time.thread_time() - worked)
            self._times.ran(_rows(frame), counts, answered=answered)
        if frame.traces:
            self._traced(frame.traces, took)
        return answer

    def _complain(self, error: ModelFailed) -> None:
        """Log what the model said, which is for its owner and not for callers, seldom enough."""
        now = time.monotonic()
        if now >= self._complain_after:
            self._complain_after = now + _COMPLAIN_EVERY_S
            _log.warning("%s", error.message)


def _rows(frame: Frame) -> int:
    """How many rows a batch has; one if its tensors have none."""
    shape = frame.tensors[0].shape if frame.tensors else ()
    return shape[0] if shape else 1
