"""What gateway replicas have said decides when a change is done."""

from __future__ import annotations

import asyncio

import pytest

from serve.control import replicas as module
from serve.control.replicas import Replicas, VersionKey
from tests.serve.versions import MODEL, alone
from tests.serve.waiting import PATIENCE_S, until

ONE: frozenset[VersionKey] = frozenset({(MODEL, 1)})
NONE: frozenset[VersionKey] = frozenset()


class Clock:
    """A clock that a test moves."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        """The time."""
        return self.now


@pytest.fixture
def clock() -> Clock:
    """A clock that stands still."""
    return Clock()


@pytest.fixture
async def replicas(clock: Clock) -> Replicas:
    """The reports of a node, by that clock."""
    return Replicas(clock)


async def report(
    replicas: Replicas, name: str, generation: int, connected: frozenset[VersionKey] = ONE
) -> None:
    """Have a replica say how far it is."""
    await replicas.ask(name, generation, connected, 0.0)


async def test_a_replica_that_is_behind_gets_the_table_at_once(replicas: Replicas) -> None:
    """A question about an older generation is answered without waiting."""
    await replicas.publish(alone(3))

    assert await replicas.ask("a", 0, NONE, 30.0) == alone(3)
    assert replicas.table == alone(3)


async def test_a_question_waits_for_news(replicas: Replicas) -> None:
    """A replica that is up to date hears of the next table the moment it is published."""
    await replicas.publish(alone(1))
    asked = asyncio.ensure_future(replicas.ask("a", 1, ONE, 30.0))
    await asyncio.sleep(0)
    assert not asked.done()

    await replicas.publish(alone(2))

    assert await asyncio.wait_for(asked, PATIENCE_S) == alone(2)


async def test_patience_ends(replicas: Replicas) -> None:
    """Without news the answer is nothing, so that the replica reports again."""
    await replicas.publish(alone(1))

    assert await replicas.ask("a", 1, ONE, 0.01) is None


async def test_nobody_is_not_settled(replicas: Replicas) -> None:
    """As long as there is no replica nothing is served."""
    await replicas.publish(alone(1))

    assert not replicas.are_settled(NONE)
    assert not await replicas.settled(NONE, 0.05)


@pytest.mark.parametrize(
    ("generation", "connected", "settled"),
    [
        pytest.param(2, ONE, True, id="there"),
        pytest.param(1, ONE, False, id="an-older-table"),
        pytest.param(2, NONE, False, id="not-connected"),
        pytest.param(2, ONE | {(MODEL, 2)}, True, id="more-than-wanted"),
    ],
)
async def test_all_replicas_must_be_there(
    replicas: Replicas, generation: int, connected: frozenset[VersionKey], settled: bool
) -> None:
    """Every replica must route by the present table and reach the wanted versions."""
    await replicas.publish(alone(2))
    await report(replicas, "a", 2)
    await report(replicas, "b", generation, connected)

    assert replicas.are_settled(ONE) is settled


async def test_waiting_until_the_last_one_is_there(replicas: Replicas) -> None:
    """`settled` returns with the report that was missing."""
    await replicas.publish(alone(2))
    await report(replicas, "a", 2)
    await report(replicas, "b", 1)
    waiting = asyncio.ensure_future(replicas.settled(ONE, 5.0))
    await asyncio.sleep(0.01)
    assert not waiting.done()

    await report(replicas, "b", 2)

    assert await asyncio.wait_for(waiting, PATIENCE_S)


async def test_a_replica_that_said_goodbye_is_not_waited_for(replicas: Replicas) -> None:
    """A replica that leaves holds nobody up."""
    await replicas.publish(alone(2))
    await report(replicas, "a", 2)
    await report(replicas, "b", 1)
    waiting = asyncio.ensure_future(replicas.settled(ONE, 5.0))
    await asyncio.sleep(0.01)

    await replicas.gone("b")
    await replicas.gone("never-there")

    assert await asyncio.wait_for(waiting, PATIENCE_S)


async def test_a_silent_replica_is_taken_to_have_gone(
    replicas: Replicas, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A replica that died without a word is forgotten after a while, without any report."""
    monkeypatch.setattr(module, "SILENT_S", 0.08)
    await replicas.publish(alone(2))
    await report(replicas, "dead", 1)
    waiting = asyncio.ensure_future(replicas.settled(NONE, 5.0))
    clock.now += 0.05
    await report(replicas, "alive", 2)
    await asyncio.sleep(0.05)
    assert not waiting.done()

    clock.now += 0.05

    await until(waiting.done, "the dead replica is forgotten")
    assert waiting.result()


async def test_a_control_plane_that_begins_anew_waits_for_all_replicas(clock: Clock) -> None:
    """One that was heard of is not all that there are; one that stays silent has gone."""
    replicas = Replicas(clock, expected=2)
    await replicas.publish(alone(1))
    await report(replicas, "a", 1)
    assert not replicas.are_settled(ONE)

    await report(replicas, "b", 1)
    assert replicas.are_settled(ONE)
    await replicas.gone("b")
    assert not replicas.are_settled(ONE)
    clock.now += module.SILENT_S
    await report(replicas, "a", 1)
    assert replicas.are_settled(ONE)


async def test_those_that_reach_something_are_counted(replicas: Replicas) -> None:
    """Of those that are alive, by whichever table."""
    await replicas.publish(alone(2))
    assert replicas.reaching(ONE) == (0, 0)
    await report(replicas, "a", 2)
    await report(replicas, "b", 1, NONE)

    assert replicas.reaching(ONE) == (1, 2)
    assert replicas.reaching(NONE) == (2, 2)
