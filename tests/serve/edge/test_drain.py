"""A gateway replica is replaced under load, and clients notice nothing but a new connection."""

from __future__ import annotations

import asyncio
import socket
import threading
import time
from collections import deque
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Self

import httpx
import pytest

from configs.settings import Limits, Settings
from registry.records import FULL
from serve.node.holder import Holder
from serve.node.lease import Lease, borrow
from serve.node.sockets import listen
from tests.serve.edge.test_bodies import GOOD, head, status
from tests.serve.edge.test_http import INFER
from tests.serve.stage import Stage, stage
from tests.serve.versions import table
from tests.serve.waiting import PATIENCE_S, wait_until

SETTINGS = Settings(limits=Limits(drain_s=1.0))


@contextmanager
def held(run_dir: Path, slots: int) -> Iterator[int]:
    """A holder of so many sockets on one port; gives the port."""
    listening = listen("127.0.0.1", 0, "a test", slots)
    holder = Holder(run_dir, {"http": listening})
    yield listening[0].getsockname()[1]
    holder.close()


class Replica(Stage):
    """A gateway replica on what the holder lends it."""

    async def begin(self) -> None:
        """Borrow."""
        self._lease = Lease(self.run_dir, "http", self.listener.accept, self.listener.leave)
        await self.listener.open()
        await self._lease.open()

    async def end(self) -> None:
        """Give back."""
        await self._lease.close()


@contextmanager
def replica(run_dir: Path) -> Iterator[Stage]:
    """A replica on the held sockets, connected to version 1."""
    opened = Replica(run_dir, borrow(run_dir, "http"), SETTINGS)
    try:
        opened.apply(table(1, {1: FULL}))
        yield opened
    finally:
        opened.close()


class Load:
    """Clients in a thread that ask without a pause; any failure is remembered."""

    def __init__(self, port: int, clients: int = 8) -> None:
        self._url = f"http://127.0.0.1:{port}{INFER}"
        self._stop = threading.Event()
        self._clients = clients
        self.answers = 0
        self.failures: list[str] = []
        self._thread = threading.Thread(target=lambda: asyncio.run(self._run()))

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join()

    def more(self, count: int) -> None:
        """Wait for so many answers from now on."""
        wanted = self.answers + count
        wait_until(lambda: self.answers >= wanted or bool(self.failures), "more answers", 60.0)

    async def _run(self) -> None:
        async with httpx.AsyncClient(trust_env=False, timeout=30.0) as client:
            await asyncio.gather(*(self._ask(client) for _ in range(self._clients)))

    async def _ask(self, client: httpx.AsyncClient) -> None:
        while not self._stop.is_set():
            try:
                reply = await client.post(self._url, content=GOOD)
            except httpx.HTTPError as error:
                self.failures.append(repr(error))
            else:
                self.answers += 1
                if reply.status_code != 200:
                    self.failures.append(f"{reply.status_code} {reply.text}")


@pytest.mark.parametrize("slots", [1, 2], ids=["one-socket", "a-socket-each"])
def test_replicas_take_turns(tmp_path: Path, slots: int) -> None:
    """Four times a new replica takes over and an old one drains; every request is answered."""
    with held(tmp_path, slots) as port, stage(tmp_path) as hosts, ExitStack() as running:
        hosts.start_host(1)
        current = deque(running.enter_context(replica(tmp_path)) for _ in range(slots))
        with Load(port) as load:
            for _ in range(4):
                load.more(100)
                current.append(running.enter_context(replica(tmp_path)))
                current.popleft().drain(1.0)
            load.more(100)

    assert load.failures == []


@pytest.mark.parametrize("slots", [1, 2], ids=["one-socket", "a-socket-each"])
def test_replicas_are_replaced_without_a_second_set(tmp_path: Path, slots: int) -> None:
    """While nobody accepts, connections wait in the held sockets; none is refused."""
    with held(tmp_path, slots) as port, stage(tmp_path) as hosts, ExitStack() as running:
        hosts.start_host(1)
        current = [running.enter_context(replica(tmp_path)) for _ in range(slots)]
        with Load(port) as load:
            load.more(100)
            for leaving in current:
                leaving.drain(1.0)
            running.enter_context(replica(tmp_path))
            load.more(100)

    assert load.failures == []


def test_connections_are_dealt_out(tmp_path: Path) -> None:
    """Each of two replicas gets a fair part of many connections."""
    with held(tmp_path, 2) as port, stage(tmp_path) as hosts, ExitStack() as running:
        hosts.start_host(1)
        both = [running.enter_context(replica(tmp_path)) for _ in range(2)]
        for _ in range(100):
            running.enter_context(socket.create_connection(("127.0.0.1", port), timeout=5))
        wait_until(lambda: sum(one.listener.connections for one in both) == 100, "all of them")

        # Fair is 50: fewer than 25 come by chance once in five million times.
        assert min(one.listener.connections for one in both) >= 25


@pytest.fixture
def alone(tmp_path: Path) -> Iterator[Stage]:
    """A gateway with one version."""
    with stage(tmp_path) as opened:
        opened.start_host(1)
        opened.apply(table(1, {1: FULL}))
        yield opened


def test_a_request_that_has_begun_is_answered(alone: Stage) -> None:
    """A body that is half here when the drain begins is read to its end and answered."""
    with socket.create_connection(("127.0.0.1", alone.port), timeout=5) as slow:
        slow.sendall(head(f"Content-Length: {len(GOOD)}") + GOOD[:10])
        wait_until(lambda: alone.reception.open_requests == 1, "the request has begun")
        draining = threading.Thread(target=alone.drain, args=(20.0,))
        draining.start()
        wait_until(lambda: alone.reception.draining, "the drain has begun")
        slow.sendall(GOOD[10:])

        assert status(slow) == 200
        draining.join()


@pytest.mark.parametrize("sent", [b"", head("Content-Length: 100")], ids=["idle", "half-sent"])
def test_drain_ends_in_time(alone: Stage, sent: bytes) -> None:
    """Clients that never leave, or never finish what they began, cannot hold a replica up."""
    with socket.create_connection(("127.0.0.1", alone.port), timeout=5) as stuck:
        stuck.sendall(sent)
        wait_until(lambda: bool(alone.listener._server.server_state.connections), "it connected")
        started = time.monotonic()
        alone.drain(0.2)

        assert time.monotonic() - started < PATIENCE_S
        assert stuck.recv(1) in (b"", b"H")
