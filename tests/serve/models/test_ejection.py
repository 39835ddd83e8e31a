"""A replica that does harm is noticed, rests, costs its callers nothing, and is let back in."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path

import pytest

from configs.errors import DeadlineExceeded, ModelFailed, NotReady, Unavailable, WeirError
from serve.models import frames, hang, health, links, retries
from serve.models.frames import Frame, Kind
from serve.models.health import Reason
from serve.models.links import Replica
from tests.serve.models.conftest import Started
from tests.serve.models.fakes import (
    HELLO,
    Behaviour,
    Fake,
    FakeLink,
    answers,
    answers_late,
    babbles,
    fails,
    hangs,
    leaves,
    lives,
)
from tests.serve.models.linked import Gate, Gateway
from tests.serve.versions import socket_of
from tests.serve.waiting import PATIENCE_S, until

Faked = Callable[..., Awaitable[Fake]]
Met = Callable[..., Awaitable[list[Fake]]]


@pytest.fixture
async def fake(tmp_path: Path) -> AsyncIterator[Faked]:
    """Starts replicas that behave as a test wants, all of which end with it."""
    made: list[Fake] = []

    async def start(replica: str, behaviour: Behaviour, greeting: bytes = HELLO) -> Fake:
        made.append(Fake(socket_of(tmp_path, 1, replica), behaviour, greeting))
        await made[-1].open()
        return made[-1]

    yield start
    for opened in made:
        opened.close()


@pytest.fixture
async def meet(gateway: Gateway, fake: Faked) -> Met:
    """Starts replicas that behave so, and waits until the gateway has met every one."""

    async def start(*behaviours: Behaviour) -> list[Fake]:
        names = "abcd"[: len(behaviours)]
        made = [await fake(*named) for named in zip(names, behaviours, strict=True)]
        await all_linked(gateway, *made)
        return made

    return start


@pytest.fixture
def ejected(gateway: Gateway) -> list[Reason]:
    """Why replicas were made to rest."""
    reasons: list[Reason] = []
    gateway.links.on_ejected = reasons.append
    return reasons


@pytest.fixture(autouse=True)
def in_a_hurry(monkeypatch: pytest.MonkeyPatch) -> None:
    """Find who hangs in a tenth of the time; who rests does so for longer than a test asks."""
    for name in ("_FLOOR_S", "_SILENT_S", "_SILENT_AT_FIRST_S"):
        monkeypatch.setattr(hang, name, getattr(hang, name) / 10)
    monkeypatch.setattr(health, "_FIRST_PAUSE_S", 30.0)


@pytest.fixture
def soon_tried(in_a_hurry: None, monkeypatch: pytest.MonkeyPatch) -> None:
    """Have who rests be tried again soon."""
    monkeypatch.setattr(health, "_FIRST_PAUSE_S", 0.1)


async def ask(gateway: Gateway, times: int, together: int = 8) -> list[WeirError]:
    """Ask so many times; gives the errors. Every answer is the right one."""
    failed: list[WeirError] = []

    async def client(number: int) -> None:
        for n in range(times // together):
            try:
                assert await gateway.sum_of([number, n, 0]) == number + n + 1
            except WeirError as error:
                failed.append(error)

    await asyncio.gather(*map(client, range(together)))
    return failed


async def all_linked(gateway: Gateway, *fakes: Fake) -> None:
    """Wait until every replica has been met."""
    await until(lambda: all(made.links for made in fakes), "a link to each")
    await gateway.links.wait_connected()


async def test_a_hung_replica_costs_no_request(
    gateway: Gateway, meet: Met, ejected: list[Reason]
) -> None:
    """It greets and never answers: its batch is answered by another, and it rests."""
    _, hung = await meet(answers, answers)
    assert await ask(gateway, 80) == []
    hung.behaviour = hangs

    assert await asyncio.wait_for(ask(gateway, 80), PATIENCE_S) == []

    assert ejected == [Reason.HUNG]
    assert gateway.retries == 1


async def test_a_process_that_lives_is_given_longer(
    gateway: Gateway, fake: Faked, ejected: list[Reason], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A replica that answers pings while its model runs is waited for, though not for ever."""
    monkeypatch.setattr(hang, "_STUCK_FLOOR_S", 1.0)
    stuck = await fake("a", answers)
    assert await ask(gateway, 80) == []
    stuck.behaviour = lives
    loop = asyncio.get_running_loop()
    begun = loop.time()
    answer = gateway.ask([1, 1, 1])
    await until(lambda: len(stuck.links) > 1, "a new link")

    assert loop.time() - begun > hang._STUCK_FLOOR_S
    assert not answer.done()
    answer.cancel()


async def test_a_lone_replica_that_hung_is_asked_again(
    gateway: Gateway, fake: Faked, ejected: list[Reason]
) -> None:
    """There is nobody else: the link is made anew and the batch is sent once more."""

    def hangs_on_its_first_link(link: FakeLink, frame: Frame) -> None:
        if link is not only.links[0]:
            answers(link, frame)

    only = await fake("a", answers)
    assert await ask(gateway, 80) == []
    only.behaviour = hangs_on_its_first_link

    assert await asyncio.wait_for(gateway.sum_of([1, 2, 3]), PATIENCE_S) == 7.0
    assert gateway.retries == 1
    assert ejected == []


async def test_a_hung_batch_is_rescued_before_its_deadline(
    gateway: Gateway, meet: Met, ejected: list[Reason], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A deadline shorter than the patience with a replica still leaves time for a second try."""
    monkeypatch.setattr(hang, "_FLOOR_S", 60.0)
    monkeypatch.setattr(hang, "_RETRY_S", 2.0)
    _, hung = await meet(answers, answers)
    assert await ask(gateway, 80) == []
    hung.behaviour = hangs

    for _ in range(2):
        assert (await gateway.ask([1, 1, 1], seconds=3.0))[0][0, 0] == 4.0
    assert gateway.retries > 0


async def test_rubbish_costs_no_request(gateway: Gateway, meet: Met, ejected: list[Reason]) -> None:
    """A replica that answers what is no frame is cut off, rests, and the others go on."""
    _, bad = await meet(answers, babbles)

    assert await ask(gateway, 80) == []

    assert ejected == [Reason.RUBBISH]
    assert bad.asked == 1


async def test_a_replica_that_drops_its_links_rests(
    gateway: Gateway, meet: Met, ejected: list[Reason]
) -> None:
    """Three links lost with a batch on them, one after another, are enough."""
    _, bad = await meet(answers, leaves)

    await until_ejected(gateway, ejected)

    assert ejected == [Reason.LOST]
    assert bad.asked == 3


async def until_ejected(gateway: Gateway, ejected: list[Reason]) -> None:
    """Ask until a replica rests; nothing may fail."""
    while not ejected:
        assert await ask(gateway, 16) == []


async def test_what_a_replica_refuses_another_one_runs(
    gateway: Gateway, meet: Met, ejected: list[Reason]
) -> None:
    """A replica that cannot run batches costs no request, and rests after five."""
    replicas = await meet(answers, answers, answers, fails(NotReady.code))

    for _ in range(40):
        assert await gateway.sum_of([1, 1, 1]) == 4.0

    assert ejected == [Reason.FAILING]
    assert replicas[-1].asked == 5
    assert gateway.retries == 5


async def test_one_of_four_that_always_fails_rests_within_five_errors(
    gateway: Gateway, meet: Met, ejected: list[Reason]
) -> None:
    """A model that fails on one replica alone is that replica's fault."""
    await meet(answers, answers, answers, fails(ModelFailed.code))

    failed = await ask(gateway, 100, together=1)

    assert len(failed) == 5
    assert ejected == [Reason.FAILING]


async def test_a_model_that_fails_everywhere_ejects_nobody(
    gateway: Gateway, meet: Met, ejected: list[Reason]
) -> None:
    """When all replicas complain, it is the inputs or the model, and no replica rests."""
    await meet(fails(ModelFailed.code), fails(ModelFailed.code))

    assert len(await ask(gateway, 40, together=1)) == 40
    assert ejected == []


async def test_a_slow_replica_rests_and_gets_less_until_then(
    gateway: Gateway, meet: Met, ejected: list[Reason]
) -> None:
    """It is free less often, so that it is given less; when that is clear, it is given nothing."""
    good, slow = await meet(answers_late(0.001), answers_late(0.03))

    while not ejected:
        assert await ask(gateway, 128, together=32) == []

    assert ejected == [Reason.SLOW]
    assert good.asked >= 2 * slow.asked


@pytest.mark.usefixtures("soon_tried")
async def test_a_replica_that_is_well_again_is_let_in(
    gateway: Gateway, meet: Met, ejected: list[Reason]
) -> None:
    """After its pause it is given one batch, and when it answers that, its share of all."""
    _, bad = await meet(answers, babbles)
    assert await ask(gateway, 16) == []
    assert ejected == [Reason.RUBBISH]
    bad.behaviour = answers
    before = bad.asked

    async with asyncio.timeout(PATIENCE_S):
        while bad.asked < before + 10:
            assert await ask(gateway, 16) == []
    assert ejected == [Reason.RUBBISH]


@pytest.mark.usefixtures("soon_tried")
async def test_a_trial_that_fails_costs_no_request(
    gateway: Gateway, meet: Met, ejected: list[Reason]
) -> None:
    """A replica that is still ill is given one batch a pause, which another answers."""
    _, bad = await meet(answers, babbles)

    async with asyncio.timeout(PATIENCE_S):
        while len(ejected) < 3:
            assert await ask(gateway, 16) == []

    assert bad.asked == 3


async def test_a_replica_that_moves_is_found(gateway: Gateway, fake: Faked) -> None:
    """Its socket goes and another appears: requests go on."""
    first = await fake("a", answers)
    assert await ask(gateway, 8) == []
    first.close()
    first.path.unlink()
    moved = await fake("b", answers)

    assert await asyncio.wait_for(ask(gateway, 8), PATIENCE_S) == []
    assert moved.asked > 0


async def test_a_silent_neighbour_delays_no_other(
    gateway: Gateway, fake: Faked, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A replica that accepts and does not even greet holds up nobody's first request."""
    monkeypatch.setattr(links, "_HELLO_S", 60.0)
    for name in ("0", "1", "2"):
        await fake(name, hangs, greeting=b"")
    await fake("3", answers)

    assert await asyncio.wait_for(gateway.sum_of([1, 1, 1]), PATIENCE_S) == 4.0


async def test_a_version_that_always_loses_its_links_is_not_asked_twice_as_often(
    gateway: Gateway, fake: Faked, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Second tries are few when nothing succeeds: at most three, for any number of requests."""
    monkeypatch.setattr(health, "_LONGEST_BRIEF_S", 0.01)
    lost = await fake("a", leaves)
    failed = await ask(gateway, 30, together=1)

    assert len(failed) == 30
    assert all(isinstance(error, Unavailable) for error in failed)
    assert lost.asked == 30 + int(retries._AT_START)
    assert gateway.retries == 3


async def test_replicas_that_are_alike_take_turns(gateway: Gateway, meet: Met) -> None:
    """Where nothing is outstanding, batches go round."""
    replicas = await meet(answers, answers, answers, answers)
    await until(lambda: gateway.batcher.carriers == 4, "all are free")

    assert await ask(gateway, 40, together=1) == []
    assert [replica.asked for replica in replicas] == [10, 10, 10, 10]


@pytest.mark.parametrize(
    "stage", ["greeting", "answer", "after", "twice", "other", "sequence", "why"]
)
async def test_rubbish_at_any_stage_closes_that_link_alone(
    gateway: Gateway, fake: Faked, ejected: list[Reason], stage: str
) -> None:
    """In place of a greeting, of an answer, behind one, or an answer to nothing: all is one."""

    def rubbish(link: FakeLink, frame: Frame) -> None:
        if stage == "answer":
            babbles(link, frame)
            return
        if stage == "why":
            link.send(Frame(Kind.FAILURE, 1, frame.sequence))
            return
        if stage == "sequence":
            frame = frame._replace(sequence=frame.sequence + 1)
        answers(link, frame)
        if stage == "after":
            babbles(link, frame)
        elif stage == "twice":
            answers(link, frame)
        elif stage == "other":
            link.send(Frame(Kind.RUN, 1, 1))

    good = await fake("a", answers)
    await gateway.links.wait_connected()
    bad = await fake("b", rubbish, b"\x10\0\0\0" + b"x" * 16 if stage == "greeting" else HELLO)
    await all_linked(gateway, good, bad)

    async with asyncio.timeout(PATIENCE_S):
        while not ejected:
            assert await ask(gateway, 16) == []

    assert ejected == [Reason.RUBBISH]
    assert len(good.links) == 1


async def test_no_second_try_when_it_could_not_end_in_time(
    gateway: Gateway, meet: Met, ejected: list[Reason]
) -> None:
    """A batch whose deadline leaves less than the median run is not sent again."""
    good, bad = await meet(answers_late(0.3), answers_late(0.3))
    assert await ask(gateway, 8) == []
    good.behaviour = bad.behaviour = leaves

    with pytest.raises(DeadlineExceeded, match="too late to ask another"):
        await gateway.ask([1, 1, 1], seconds=0.2)

    assert gateway.retries == 0


async def test_a_host_answers_pings_while_its_model_runs(gateway: Gateway, start: Started) -> None:
    """Its loop turns though a run holds its thread: that is how it is told from a hung one."""
    gate = Gate()
    await start(run=gate)
    asked = gateway.ask([1, 2, 3])
    await until(gate.entered.is_set, "the batch is in")
    (replica,) = gateway.links._replicas.values()
    assert replica.link is not None

    replica.link.ping()
    await until(lambda: _silence(replica) is None, "the word of the host")

    assert not asked.done()
    gate.open.set()
    assert float((await asked)[0][0, 0]) == 7.0


def _silence(replica: Replica) -> float | None:
    assert replica.link is not None
    out = replica.link.out(0.0)
    assert out is not None
    return out.silent_s


@pytest.mark.parametrize("kind", [Kind.ANSWER, Kind.HELLO, Kind.PONG, Kind.FAILURE, Kind.GOODBYE])
async def test_a_host_takes_batches_and_pings_only(
    gateway: Gateway, start: Started, tmp_path: Path, kind: Kind
) -> None:
    """Whoever sends it anything else is cut off, and the others go on."""
    await start()
    reader, writer = await asyncio.open_unix_connection(str(socket_of(tmp_path, 1)))
    writer.writelines(frames.encode(Frame(kind, 1, 1)))

    assert await asyncio.wait_for(reader.read(), PATIENCE_S) == HELLO
    writer.close()
    assert await gateway.sum_of([1, 1, 1]) == 4.0
