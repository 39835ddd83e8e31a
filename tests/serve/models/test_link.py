"""Gateway and hosts over real Unix sockets: replicas come, go and die, and no request is lost."""

from __future__ import annotations

import asyncio
import socket
from pathlib import Path

from serve.models.addresses import addresses, folder
from serve.models.curve import Curve
from tests.serve.models.conftest import BOTH_WAYS, Started
from tests.serve.models.linked import Gate, Gateway, kill, load
from tests.serve.versions import MODEL, socket_of
from tests.serve.waiting import PATIENCE_S, until


@BOTH_WAYS
async def test_many_callers_get_their_own_answers(gateway: Gateway, start: Started) -> None:
    """500 concurrent requests over two real replicas are answered row for row."""
    await start(replica="a")
    await start(replica="b")

    answers = await asyncio.gather(*(gateway.sum_of([n, 1, 1]) for n in range(500)))

    assert answers == [n + 3.0 for n in range(500)]


@BOTH_WAYS
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


@BOTH_WAYS
async def test_a_batch_that_is_out_is_sent_again(gateway: Gateway, start: Started) -> None:
    """The replica dies while it works: the batch goes to the next one, once, and is counted."""
    gate = Gate()
    slow = await start(replica="a", run=gate)
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

    assert await asyncio.wait_for(gateway.sum_of([1, 1, 1]), PATIENCE_S) == 4.0


@BOTH_WAYS
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


@BOTH_WAYS
async def test_drain_waits_for_the_batch_that_is_in(
    gateway: Gateway, start: Started, tmp_path: Path
) -> None:
    """A replica that leaves answers what it has, and is not found by anyone new."""
    gate = Gate()
    slow = await start(run=gate)
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


@BOTH_WAYS
async def test_drain_does_not_wait_for_ever(gateway: Gateway, start: Started) -> None:
    """A batch that does not end in time is given up to another replica."""
    gate = Gate()
    stuck = await start(replica="a", run=gate)
    asked = gateway.ask([1, 2, 3])
    await until(gate.entered.is_set, "the batch is in")
    await start(replica="b")

    await asyncio.wait_for(stuck.drain(0.1), PATIENCE_S)

    assert float((await asked)[0][0, 0]) == 7.0
    gate.open.set()


@BOTH_WAYS
async def test_a_replica_tells_how_long_its_runs_take(gateway: Gateway, start: Started) -> None:
    """What warm-up measured is known to the batcher before it sends the first batch."""
    curve = Curve((1, 16), (0.5, 8.0))
    replica = await start(replica="a")
    replica.curve = curve
    await gateway.links.wait_connected()

    assert await gateway.sum_of([1, 1, 1]) == 4.0
    assert gateway.batcher._caps._curve == curve
