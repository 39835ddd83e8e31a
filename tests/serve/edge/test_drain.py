"""A gateway replica is replaced under load, and clients notice nothing but a new connection."""

from __future__ import annotations

import asyncio
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Self

import httpx
import pytest

from configs.settings import Limits, Settings
from registry.records import FULL
from serve.node.holder import Holder, borrow, listen
from tests.serve.edge.test_bodies import GOOD, head, status
from tests.serve.edge.test_http import INFER
from tests.serve.stage import Stage, stage
from tests.serve.versions import table
from tests.serve.waiting import wait_until

SETTINGS = Settings(limits=Limits(drain_s=1.0))


@pytest.fixture
def held(tmp_path: Path) -> Iterator[int]:
    """A holder of one listening socket; gives its port."""
    listening = listen("127.0.0.1", 0, "a test")
    holder = Holder(tmp_path, {"http": listening})
    yield listening.getsockname()[1]
    holder.close()


@contextmanager
def replica(run_dir: Path) -> Iterator[Stage]:
    """A gateway replica on the held socket, connected to version 1."""
    opened = Stage(run_dir, borrow(run_dir, "http"), SETTINGS)
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
        wait_until(lambda: self.answers >= wanted or bool(self.failures), "more answers", 10.0)

    async def _run(self) -> None:
        async with httpx.AsyncClient(trust_env=False, timeout=10.0) as client:
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


def test_replicas_take_turns_on_one_socket(held: int, tmp_path: Path) -> None:
    """Four times a new replica takes over and the old one drains; every request is answered."""
    with stage(tmp_path) as hosts, ExitStack() as running:
        hosts.start_host(1)
        current = running.enter_context(replica(tmp_path))
        with Load(held) as load:
            for _ in range(4):
                load.more(100)
                following = running.enter_context(replica(tmp_path))
                current.drain(1.0)
                current = following
            load.more(100)

    assert load.failures == []


def test_a_single_replica_is_replaced_without_a_second(held: int, tmp_path: Path) -> None:
    """While nobody accepts, connections wait in the held socket; none is refused."""
    with stage(tmp_path) as hosts, ExitStack() as running:
        hosts.start_host(1)
        current = running.enter_context(replica(tmp_path))
        with Load(held) as load:
            load.more(100)
            current.drain(1.0)
            running.enter_context(replica(tmp_path))
            load.more(100)

    assert load.failures == []


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
        draining = threading.Thread(target=alone.drain, args=(3.0,))
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
        wait_until(lambda: bool(alone._listener._server.server_state.connections), "it connected")
        started = time.monotonic()
        alone.drain(0.2)

        assert time.monotonic() - started < 3.0
        assert stuck.recv(1) in (b"", b"H")
