"""Gateway and hosts over real Unix sockets: replicas come, go and die, and no request is lost."""

from __future__ import annotations

import asyncio
import socket
import threading
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from configs.errors import DeadlineExceeded, ModelFailed, NotReady
from serve.models.addresses import addresses, folder
from serve.models.batcher import Batcher
from serve.models.frames import Tensors
from serve.models.host import Host
from serve.models.link import Link, Links
from tests.serve.models.carriers import soon
from tests.serve.versions import MODEL, host, socket_of
from tests.serve.waiting import until

Started = Callable[..., Awaitable[Host]]


class Gateway:
    """The gateway's side: one batcher and its links to the replicas of version 1."""

    def __init__(self, run_dir: Path) -> None:
        self.batcher = Batcher(batched=True, max_rows=16, queue_max_rows=10_000)
        self.links = Links(1, folder(run_dir, MODEL, 1), self.batcher)
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


@pytest.fixture
async def gateway(tmp_path: Path) -> AsyncIterator[Gateway]:
    """The gateway's side, looking for replicas of version 1."""
    made = Gateway(tmp_path)
    yield made
    await made.links.close()


@pytest.fixture
async def start(tmp_path: Path) -> AsyncIterator[Started]:
    """Starts hosts of version 1, all of which end with the test."""
    hosts: list[Host] = []

    async def started(**how: object) -> Host:
        hosts.append(await host(tmp_path, 1, **how))  # type: ignore[arg-type]
        return hosts[-1]

    yield started
    for opened in hosts:
        kill(opened)


def kill(victim: Host) -> None:
    """End a host as a crash does: no goodbye, and its socket's name stays."""
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
        assert self.open.wait(10.0)
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


async def test_many_callers_get_their_own_answers(gateway: Gateway, start: Started) -> None:
    """500 concurrent requests over two real replicas are answered row for row."""
    await start(replica="a")
    await start(replica="b")

    answers = await asyncio.gather(*(gateway.sum_of([n, 1, 1]) for n in range(500)))

    assert answers == [n + 3.0 for n in range(500)]


async def test_requests_wait_for_the_first_replica(gateway: Gateway, start: Started) -> None:
    """A request that comes before the host is answered once the host is there."""
    waiting = gateway.ask([1, 1, 1])
    assert not gateway.links.connected
    assert not gateway.links.was_connected

    await start()
    await gateway.links.wait_connected()

    assert float((await waiting)[0][0, 0]) == 4.0
    assert gateway.links.connected


async def test_a_killed_replica_costs_no_request(gateway: Gateway, start: Started) -> None:
    """Under load, replicas die one after another; every request is answered, some sent twice."""
    victim, stop, answered = await start(replica="0"), asyncio.Event(), list[float]()
    clients = asyncio.ensure_future(load(gateway, stop, answered))

    for number in range(1, 6):
        before = len(answered)
        await until(lambda floor=before + 50: len(answered) > floor, "answers")  # type: ignore[misc]
        successor = await start(replica=str(number))
        kill(victim)
        victim = successor
    before = len(answered)
    await until(lambda: len(answered) > before + 50, "answers after the last kill")
    stop.set()
    await clients


async def test_a_batch_that_is_out_is_sent_again(gateway: Gateway, start: Started) -> None:
    """The replica dies while it works: the batch goes to the next one, once, and is counted."""
    gate = Gate()
    slow = await start(replica="a", run=gate)
    slow._seconds_a_run = 1.0  # Known to be slow, so that it runs in a thread.
    asked = gateway.ask([1, 2, 3])
    await until(gate.entered.is_set, "the batch is out")

    await start(replica="b")
    kill(slow)

    assert float((await asked)[0][0, 0]) == 7.0
    assert gateway.retries == 1
    gate.open.set()


async def test_a_dead_replicas_socket_is_removed(
    gateway: Gateway, start: Started, tmp_path: Path
) -> None:
    """A name that nobody listens on is taken away, and the links go on looking."""
    stale = socket_of(tmp_path, 1, "0-stale")
    stale.parent.mkdir(parents=True)
    with socket.socket(socket.AF_UNIX) as dead:
        dead.bind(str(stale))
    await until(lambda: not stale.exists(), "the stale socket is removed")

    await start()

    assert await gateway.sum_of([1, 1, 1]) == 4.0


async def test_an_unusable_neighbour_does_not_blind_the_links(
    gateway: Gateway, start: Started, tmp_path: Path
) -> None:
    """A name that cannot be connected to keeps nobody from finding the others."""
    for unusable in ("0-folder", "1" + "x" * 120):
        socket_of(tmp_path, 1, unusable).mkdir(parents=True)

    await start()

    assert await asyncio.wait_for(gateway.sum_of([1, 1, 1]), 3.0) == 4.0


async def test_leaving_politely_loses_nothing(gateway: Gateway, start: Started) -> None:
    """Under load, replicas drain and are replaced; nothing fails and nothing is sent twice."""
    leaving, stop, answered = await start(replica="0"), asyncio.Event(), list[float]()
    clients = asyncio.ensure_future(load(gateway, stop, answered))

    for number in range(1, 6):
        before = len(answered)
        await until(lambda floor=before + 50: len(answered) > floor, "answers")  # type: ignore[misc]
        successor = await start(replica=str(number))
        await leaving.drain(2.0)
        leaving = successor
    stop.set()
    await clients

    assert gateway.retries == 0


async def test_drain_waits_for_the_batch_that_is_in(
    gateway: Gateway, start: Started, tmp_path: Path
) -> None:
    """A replica that leaves answers what it has, and is not found by anyone new."""
    gate = Gate()
    slow = await start(run=gate)
    slow._seconds_a_run = 1.0
    asked = gateway.ask([1, 2, 3])
    await until(gate.entered.is_set, "the batch is in")

    draining = asyncio.ensure_future(slow.drain(5.0))
    await asyncio.sleep(0)
    assert addresses(folder(tmp_path, MODEL, 1)) == ()
    gate.open.set()

    assert float((await asked)[0][0, 0]) == 7.0
    await draining
    await until(lambda: not gateway.links.connected, "the link has closed")
    assert gateway.retries == 0


async def test_drain_does_not_wait_for_ever(gateway: Gateway, start: Started) -> None:
    """A batch that does not end in time is given up to another replica."""
    gate = Gate()
    stuck = await start(replica="a", run=gate)
    stuck._seconds_a_run = 1.0
    asked = gateway.ask([1, 2, 3])
    await until(gate.entered.is_set, "the batch is in")
    await start(replica="b")

    await asyncio.wait_for(stuck.drain(0.1), 2.0)

    assert float((await asked)[0][0, 0]) == 7.0
    gate.open.set()


async def test_a_hung_replica_costs_a_deadline_and_no_more(
    gateway: Gateway, start: Started
) -> None:
    """The caller is told at the deadline, the link is closed, and a new one is made."""
    gate = Gate()
    hung = await start(run=gate)
    hung._seconds_a_run = 1.0
    with pytest.raises(DeadlineExceeded):
        await gateway.ask([1, 1, 1], seconds=0.1)
    gate.open.set()

    assert await asyncio.wait_for(gateway.sum_of([1, 1, 1]), 3.0) == 4.0
    assert gateway.retries == 0


async def test_a_version_that_lives_elsewhere(gateway: Gateway, start: Started) -> None:
    """A host that is asked for another version says so."""
    other = await start()
    other._version = 2

    with pytest.raises(NotReady, match="version 1 does not live here"):
        await gateway.ask([1, 1, 1])


async def test_the_models_own_complaint_reaches_its_caller(
    gateway: Gateway, start: Started
) -> None:
    """A model that fails on some rows fails for their caller only; the link goes on."""

    def picky(tensors: Tensors) -> Tensors:
        if (tensors[0] < 0).any():
            raise ModelFailed("a row is negative")
        return (tensors[0].sum(axis=1, keepdims=True) + 1,)

    await start(run=picky)
    asked = [gateway.ask([n, 0, 0]) for n in (1, -5, 2)]

    answers = await asyncio.gather(*asked, return_exceptions=True)

    assert isinstance(answers[1], ModelFailed)
    assert "negative" in answers[1].message
    assert await gateway.sum_of([5, 0, 0]) == 6.0


@pytest.mark.parametrize("slow", [False, True], ids=["on-the-loop", "in-a-thread"])
async def test_any_exception_of_a_model_is_told_at_once(
    gateway: Gateway, start: Started, slow: bool
) -> None:
    """Whatever a run raises, the caller gets an error now and not at the deadline."""

    def broken(tensors: Tensors) -> Tensors:
        raise KeyError(tensors[0].shape)

    broken_host = await start(run=broken)
    broken_host._seconds_a_run = float(slow)

    with pytest.raises(ModelFailed):
        await asyncio.wait_for(gateway.ask([1, 1, 1]), 2.0)


async def test_garbage_from_a_host_closes_the_link(
    gateway: Gateway, start: Started, tmp_path: Path
) -> None:
    """A peer that does not speak frames is left, and the request goes to the next."""
    path = socket_of(tmp_path, 1, "0-garbage")
    path.parent.mkdir(parents=True)

    async def babble(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        path.unlink(missing_ok=True)
        writer.write(b"\x08\0\0\0garbage!")
        await reader.read()
        writer.close()

    server = await asyncio.start_unix_server(babble, str(path))
    async with server:
        asked = gateway.ask([1, 1, 1])
        await until(lambda: not path.exists(), "the link to the babbler")
        await start()
        assert float((await asked)[0][0, 0]) == 4.0


async def test_garbage_from_a_gateway_closes_its_link_only(
    gateway: Gateway, start: Started, tmp_path: Path
) -> None:
    """A host cuts off a peer that does not speak frames and serves the others."""
    await start()
    reader, writer = await asyncio.open_unix_connection(str(socket_of(tmp_path, 1)))
    writer.write(b"\x08\0\0\0garbage!")

    assert await asyncio.wait_for(reader.read(), 2.0) == b""
    writer.close()
    assert await gateway.sum_of([1, 1, 1]) == 4.0


async def test_a_link_lost_before_it_was_made_is_not_kept(
    gateway: Gateway, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A link whose end was noticed before its beginning is never called connected."""
    loop = asyncio.get_running_loop()

    async def late(factory: Callable[[], Link], path: str) -> None:
        _, link = await loop.create_unix_connection(factory, path)
        await until(lambda: not link.is_open, "the link is lost")

    monkeypatch.setattr(gateway.links, "_loop", SimpleNamespace(create_unix_connection=late))
    path = socket_of(tmp_path, 1)
    path.parent.mkdir(parents=True)
    met = 0

    async def close(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal met
        met += 1
        writer.transport.abort()

    server = await asyncio.start_unix_server(close, str(path))
    async with server:
        await until(lambda: met > 5, "several connections")
    assert not gateway.links.was_connected


async def test_traces_are_told_when_a_batch_ran(gateway: Gateway, start: Started) -> None:
    """The host reports the contexts of the traced requests of each batch, with the run's time."""
    ran: list[tuple[tuple[str, ...], float]] = []
    await start(traced=lambda wires, seconds: ran.append((wires, seconds)))
    row = (np.ones((1, 3), np.float32),)

    await gateway.batcher.submit(row, 1, soon())
    await gateway.batcher.submit(row, 1, soon(), "context stable id")

    assert [wires for wires, _ in ran] == [("context stable id",)]
    assert ran[0][1] > 0


async def test_closing_the_links_tells_those_who_wait(gateway: Gateway) -> None:
    """A version that leaves the table answers `NotReady` to whoever still waits."""
    asked = gateway.ask([1, 1, 1])

    await gateway.links.close()

    with pytest.raises(NotReady, match="version 1 is no longer served"):
        await asked
