"""Replicas that hang, fail, lie or talk nonsense cost their own callers only."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from configs.errors import DeadlineExceeded, ModelFailed, NotReady, Unavailable
from serve.models import frames, links
from serve.models.curve import Curve
from serve.models.frames import Frame, Kind, Tensors
from serve.models.link import Link
from serve.models.run_times import RunTimes
from tests.serve.models.carriers import soon
from tests.serve.models.conftest import BOTH_WAYS, Started
from tests.serve.models.linked import Gate, Gateway, kill
from tests.serve.versions import socket_of
from tests.serve.waiting import PATIENCE_S, until


@BOTH_WAYS
async def test_a_hung_replica_costs_a_deadline_and_no_more(
    gateway: Gateway, start: Started
) -> None:
    """The caller is told at the deadline, the link is closed, and a new one is made."""
    gate = Gate()
    await start(run=gate)
    with pytest.raises(DeadlineExceeded):
        await gateway.ask([1, 1, 1], seconds=0.1)
    gate.open.set()

    assert await asyncio.wait_for(gateway.sum_of([1, 1, 1]), PATIENCE_S) == 4.0
    assert gateway.retries == 0


@BOTH_WAYS
async def test_only_a_replica_that_has_died_strands_a_request(
    gateway: Gateway, start: Started
) -> None:
    """One whose link alone was lost is asked again, also for what could be answered elsewhere."""
    host = await start()
    row = (np.array([[1, 1, 1]], np.float32),)
    told: list[asyncio.Future[Tensors]] = [
        asyncio.get_running_loop().create_future() for _ in range(2)
    ]
    await gateway.sum_of([1, 1, 1])

    for link in [*host._links]:
        link.abort()
    gateway.batcher.enqueue(told[0], row, 1, soon(), None, True)
    assert (await asyncio.wait_for(told[0], PATIENCE_S))[0].tolist() == [[4.0]]

    kill(host)
    gateway.batcher.enqueue(told[1], row, 1, soon(), None, True)
    with pytest.raises(Unavailable, match="another version answers"):
        await asyncio.wait_for(told[1], PATIENCE_S)


@BOTH_WAYS
async def test_a_version_that_lives_elsewhere(gateway: Gateway, start: Started) -> None:
    """A host that is asked for another version says so."""
    other = await start()
    other._version = 2

    with pytest.raises(NotReady, match="version 1 does not live here"):
        await gateway.ask([1, 1, 1])


@BOTH_WAYS
async def test_the_models_own_complaint_is_for_the_log(
    gateway: Gateway, start: Started, caplog: pytest.LogCaptureFixture
) -> None:
    """A model that fails on some rows fails for their caller only, who is not told its words."""

    def picky(tensors: Tensors) -> Tensors:
        if (tensors[0] < 0).any():
            raise ModelFailed("a row is negative")
        return (tensors[0].sum(axis=1, keepdims=True) + 1,)

    await start(run=picky)
    asked = [gateway.ask([n, 0, 0]) for n in (1, -5, 2)]

    answers = await asyncio.gather(*asked, return_exceptions=True)

    assert isinstance(answers[1], ModelFailed)
    assert "negative" not in answers[1].message
    assert "a row is negative" in caplog.text
    assert await gateway.sum_of([5, 0, 0]) == 6.0


@BOTH_WAYS
@pytest.mark.parametrize("slow", [False, True], ids=["on-the-loop", "in-a-thread"])
async def test_any_exception_of_a_model_is_told_at_once(
    gateway: Gateway, start: Started, slow: bool
) -> None:
    """Whatever a run raises, the caller gets an error now and not at the deadline."""

    def broken(tensors: Tensors) -> Tensors:
        raise KeyError(tensors[0].shape)

    broken_host = await start(run=broken)
    broken_host._times = RunTimes(Curve((1,), (float(slow) or 1e-6,)))

    with pytest.raises(ModelFailed):
        await asyncio.wait_for(gateway.ask([1, 1, 1]), PATIENCE_S)


async def test_a_connection_that_nobody_greets_carries_nothing(
    gateway: Gateway, start: Started, tmp_path: Path
) -> None:
    """The system accepts for a process that is dying: no batch is lost on such a connection."""
    path = socket_of(tmp_path, 1, "0-dying")
    path.parent.mkdir(parents=True)
    with socket.socket(socket.AF_UNIX) as dying:
        dying.bind(str(path))
        dying.listen()
        asked = gateway.ask([1, 1, 1])
        peer, _ = await asyncio.to_thread(dying.accept)
        peer.close()
    await start()
    assert float((await asked)[0][0, 0]) == 4.0
    assert gateway.retries == 0


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

    hello = b"".join(frames.encode(Frame(Kind.HELLO, 0, 0)))
    assert await asyncio.wait_for(reader.read(), PATIENCE_S) == hello
    writer.close()
    assert await gateway.sum_of([1, 1, 1]) == 4.0


async def test_a_link_lost_before_it_was_made_is_not_kept(
    gateway: Gateway, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A link whose end was noticed before its beginning is never called connected."""
    loop = asyncio.get_running_loop()

    async def late(factory: Callable[[], Link], path: str, tls: object) -> None:
        _, link = await loop.create_unix_connection(factory, path)
        await until(lambda: not link.is_open, "the link is lost")

    monkeypatch.setattr(links, "dial", late)
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


@BOTH_WAYS
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
