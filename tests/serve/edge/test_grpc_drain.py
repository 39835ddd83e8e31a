"""A gateway replica is replaced under load over gRPC, and no call is lost."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest

from configs.settings import Limits, Settings
from registry.records import FULL
from serve.node.holder import Holder
from serve.node.lease import Lease, borrow
from serve.node.sockets import listen
from tests.serve.edge.grpc_load import Load
from tests.serve.stage import GRPC, Stage, stage
from tests.serve.versions import table

SETTINGS = Settings(listen=GRPC, limits=Limits(drain_s=1.0))


@contextmanager
def held(run_dir: Path, slots: int) -> Iterator[int]:
    """A holder of so many sockets on the gRPC port; gives the port."""
    http = listen("127.0.0.1", 0, "a test")
    grpc = listen("127.0.0.1", 0, "a test", slots)
    holder = Holder(run_dir, {"http": http, "grpc": grpc})
    yield grpc[0].getsockname()[1]
    holder.close()


class Replica(Stage):
    """A gateway replica that accepts gRPC on what the holder lends it."""

    async def begin(self) -> None:
        """Borrow."""
        assert self._grpc is not None
        await self.listener.open(self._listening)
        await self._grpc.open()
        self._lease = Lease(self.run_dir, "grpc", self._grpc.accept, self._grpc.leave)
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


@pytest.mark.parametrize("slots", [1, 2], ids=["one-socket", "a-socket-each"])
def test_replicas_take_turns(tmp_path: Path, slots: int) -> None:
    """Four times a new replica takes over and an old one drains; every call is answered."""
    with held(tmp_path, slots) as port, stage(tmp_path) as hosts, ExitStack() as running:
        hosts.start_host(1)
        current = deque(running.enter_context(replica(tmp_path)) for _ in range(slots))
        with Load(port) as load:
            for _ in range(4):
                load.more(100)
                current.append(running.enter_context(replica(tmp_path)))
                current.popleft().drain(5.0)
            load.more(100)

    assert load.failures == []


def test_replicas_are_replaced_without_a_second_set(tmp_path: Path) -> None:
    """While nobody accepts, connections wait in the held socket; no call is refused."""
    with held(tmp_path, 1) as port, stage(tmp_path) as hosts, ExitStack() as running:
        hosts.start_host(1)
        leaving = running.enter_context(replica(tmp_path))
        with Load(port) as load:
            load.more(100)
            leaving.drain(5.0)
            running.enter_context(replica(tmp_path))
            load.more(100)

    assert load.failures == []
