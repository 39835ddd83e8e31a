"""The gateway's links to hosts over real sockets, for tests."""

from __future__ import annotations

import asyncio
import ssl
import threading
from collections.abc import Callable
from pathlib import Path

import numpy as np

from serve.models.addresses import folder
from serve.models.batcher import Batcher
from serve.models.frames import Tensors
from serve.models.host import Host
from serve.models.inside import withdraw
from serve.models.links import Links, no_tls
from tests.serve.models.carriers import soon
from tests.serve.versions import MODEL


class Gateway:
    """The gateway's side: one batcher and its links to the replicas of version 1."""

    def __init__(self, run_dir: Path, tls: Callable[[], ssl.SSLContext | None] = no_tls) -> None:
        self.batcher = Batcher(batched=True, max_rows=16, queue_max_rows=10_000)
        self.links = Links(1, folder(run_dir, MODEL, 1), self.batcher, tls=tls)
        self.retries = 0
        self.batcher.on_retry = self._retried

    def _retried(self) -> None:
        self.retries += 1

    def ask(self, row: list[float], seconds: float = 30.0) -> asyncio.Future[Tensors]:
        """Ask for one row."""
        return self.batcher.submit((np.array([row], np.float32),), 1, soon(seconds))

    async def sum_of(self, row: list[float]) -> float:
        """The model's answer to one row: its sum plus one."""
        return float((await self.ask(row))[0][0, 0])


def kill(victim: Host) -> None:
    """End a host as a crash does: no goodbye, and its name stays."""
    withdraw(victim._address)
    if victim._server is not None:
        victim._server.close()
    for link in [*victim._links]:
        link.abort()


class Gate:
    """A model that waits in its thread until a test lets it go on."""

    def __init__(self) -> None:
        self.open = threading.Event()
        self.entered = threading.Event()

    def __call__(self, tensors: Tensors) -> Tensors:
        """Wait, then give the sum of each row plus one."""
        self.entered.set()
        assert self.open.wait(30.0)
        return (tensors[0].sum(axis=1, keepdims=True) + 1,)


async def load(gateway: Gateway, stop: asyncio.Event, answered: list[float]) -> None:
    """Eight clients that ask without a pause until they are stopped."""

    async def client(number: int) -> None:
        asked = 0
        while not stop.is_set():
            asked += 1
            got = await gateway.sum_of([number, asked, 0.5])
            assert got == number + asked + 1.5
            answered.append(got)

    await asyncio.gather(*map(client, range(8)))
