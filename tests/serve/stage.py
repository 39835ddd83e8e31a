"""A gateway on a real port with real hosts behind it: everything but Ray."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Coroutine, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeVar

from configs.errors import Unavailable
from configs.settings import Limits, Listen, Settings
from monitors.blocks import Snapshot
from monitors.labels.receipt import Receipt
from registry.records import RouteTable
from serve.access.door import Door
from serve.edge.feedback import Feedback, Observer
from serve.edge.grpc_listener import GrpcListener
from serve.edge.http import Edge
from serve.edge.listener import Listener
from serve.edge.reception import Reception, Repository
from serve.gateway import Gateway
from serve.models.host import Host
from serve.node.loop_thread import LoopThread
from serve.node.sockets import listen
from serve.protocol.feedback import Sent
from serve.traces import Tracer
from tests.serve.versions import Run, host

T = TypeVar("T")
_PATIENCE_S = 40.0


class NoRepository:
    """A control plane that is not there."""

    async def load(self, model: str, actor: str) -> None:
        """Say that nobody can load it."""
        raise Unavailable(f"{actor} cannot load {model}")

    async def unload(self, model: str, actor: str) -> None:
        """Say that nobody can unload it."""
        raise Unavailable(f"{actor} cannot unload {model}")


class NoObserver:
    """An observer that is not there."""

    async def feedback(self, sent: Sent) -> Receipt:
        """Say that nobody takes it."""
        raise Unavailable(f"nobody takes what is told of {sent.model}")


def reception(
    gateway: Gateway,
    settings: Settings,
    door: Door | None = None,
    repository: Repository | None = None,
) -> Reception:
    """The reception of a gateway, which by default lets everybody in."""
    door = door or Door(required=False)
    return Reception(gateway, settings, door, repository or NoRepository())


def edge(heard: Reception, settings: Settings, observer: Observer | None = None) -> Edge:
    """What answers over HTTP, by default without an observer behind it."""
    limits = settings.limits
    return Edge(heard, limits, Feedback(heard.gateway, limits, observer or NoObserver()))


GRPC = Listen(grpc_port=0)
"""Settings of a stage that speaks gRPC too."""


class Stage:
    """One gateway replica and the hosts of its versions, each on a loop of its own.

    It speaks gRPC, on `grpc_port`, if its settings leave that port to the system.
    """

    def __init__(
        self,
        run_dir: Path,
        listening: socket.socket,
        settings: Settings,
        door: Door | None = None,
        repository: Repository | None = None,
        observer: Observer | None = None,
    ) -> None:
        self.run_dir = run_dir
        self._settings = settings
        self._door = door
        self._repository = repository
        self._observer = observer
        self._grpc: GrpcListener | None = None
        self._edge_loop = LoopThread("edge")
        self._host_loop = LoopThread("hosts")
        self._hosts: list[Host] = []
        self._generation = 0
        self.port = listening.getsockname()[1]
        self.url = f"http://127.0.0.1:{self.port}"
        self._listening = listening
        self._opened = False
        self.on_edge(self._open())

    def on_edge(self, work: Coroutine[Any, Any, T]) -> T:
        """Run something on the gateway's loop."""
        return self._edge_loop.submit(work).result(_PATIENCE_S)

    def start_host(
        self, number: int, run: Run | None = None, replica: str = "a", *, baseline: bool = False
    ) -> Host:
        """Have a replica of a version, or of its baseline."""
        started = host(self.run_dir, number, run=run, replica=replica, baseline=baseline)
        opened = self._host_loop.submit(started).result(_PATIENCE_S)
        self._hosts.append(opened)
        return opened

    def drain_host(self, leaving: Host) -> None:
        """Have a replica leave."""
        self._host_loop.submit(leaving.drain(1.0)).result(_PATIENCE_S)

    def apply(self, table: RouteTable, connect_s: float = 15.0) -> None:
        """Route by a table, and wait until its versions are reached; then listen."""

        async def applied() -> None:
            self.gateway.apply(table)
            await self.gateway.wait_connected(connect_s)
            if not self._opened:
                await self.begin()
                self._opened = True

        self.on_edge(applied())

    async def begin(self) -> None:
        """Begin to accept."""
        await self.listener.open(self._listening)
        if self._grpc is not None:
            await self._grpc.open(self._grpc_listening)

    async def end(self) -> None:
        """Leave what waits in the socket to whoever has it too."""

    def next_generation(self) -> int:
        """A generation that no table had yet."""
        self._generation += 1
        return self._generation

    def counts(self) -> Snapshot:
        """What has been counted so far."""
        return self.gateway.recorder.counts.snapshot("test", 0)

    def drain(self, timeout_s: float) -> None:
        """Stop to listen, as a replica that is replaced does."""

        async def drained() -> None:
            self.reception.draining = True
            if self._opened:
                await self.end()
                busy = [self._grpc.drain(timeout_s)] if self._grpc is not None else []
                await asyncio.gather(
                    self.listener.drain(
                        timeout_s, timeout_s, lambda: self.reception.open_requests > 0
                    ),
                    *busy,
                )
                self._opened = False

        self.on_edge(drained())

    def close(self) -> None:
        """End everything."""
        self.drain(0.05)
        for leaving in self._hosts:
            self.drain_host(leaving)
        self.on_edge(self.reception.explanations.close())
        self.on_edge(self.gateway.close())
        self._listening.close()
        if self._grpc is not None:
            self._grpc_listening.close()
        self._edge_loop.stop(_PATIENCE_S)
        self._host_loop.stop(_PATIENCE_S)

    async def _open(self) -> None:
        self.gateway = Gateway(self._settings, self.run_dir, Tracer(None, 0.0))
        self.reception = reception(self.gateway, self._settings, self._door, self._repository)
        self.edge = edge(self.reception, self._settings, self._observer)
        self.listener = Listener(
            self.edge,
            self._settings.limits,
            self.gateway.count_closed,
            desk=self.edge.desk,
        )
        if self._settings.listen.grpc_port == 0:
            self._grpc = GrpcListener(
                self.reception,
                self._settings.limits,
                self.edge.bodies,
                self.gateway.count_closed,
            )
            (self._grpc_listening,) = listen("127.0.0.1", 0, "a test")
            self.grpc_port = self._grpc_listening.getsockname()[1]


@contextmanager
def stage(
    run_dir: Path,
    limits: Limits | None = None,
    settings: Settings | None = None,
    door: Door | None = None,
    repository: Repository | None = None,
    observer: Observer | None = None,
) -> Iterator[Stage]:
    """A stage on ports of its own while the block runs."""
    settings = settings or Settings(limits=limits or Limits(drain_s=1.0))
    (listening,) = listen("127.0.0.1", 0, "a test")
    opened = Stage(run_dir, listening, settings, door, repository, observer)
    try:
        yield opened
    finally:
        opened.close()
