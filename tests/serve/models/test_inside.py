"""Hosts inside the gateway's own process: frames change hands, and nothing else is different."""

from __future__ import annotations

import asyncio
import os
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from configs.errors import Unavailable
from serve.models.addresses import Address, addresses, folder, inside_path, sockets
from serve.models.curve import Curve
from serve.models.frames import Frame, Kind, Tensors
from serve.models.inside import call, listen, withdraw
from tests.serve.models.carriers import soon
from tests.serve.models.conftest import Started
from tests.serve.models.linked import Gate, Gateway, kill
from tests.serve.models.test_batch import Told
from tests.serve.models.test_batcher import turn
from tests.serve.versions import MODEL
from tests.serve.waiting import until

QUICK = Curve((1, 16), (1e-6, 1e-6))
DEAD = 2**22 + 1
"""No process has this id: Linux gives none above 2^22."""
NAME = Address("somewhere.inside")
BATCH = Frame(Kind.RUN, 1, 1, (np.ones((2, 3), np.float32),))


class End:
    """One end of a wire, that keeps what it is told; a ping surprises it."""

    def __init__(self) -> None:
        self.wire: Any = None
        self.seen: list[Frame] = []
        self.lost = 0

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Begin."""
        self.wire = transport

    def given(self, frame: Frame) -> None:
        """Keep a frame."""
        if frame.kind is Kind.PING:
            raise KeyError(frame.kind)
        self.seen.append(frame)

    def connection_lost(self, exc: Exception | None) -> None:
        """Count the ends."""
        assert exc is None
        self.lost += 1


class Noted(Told):
    """Notes when it is told."""

    def __init__(self, notes: list[str]) -> None:
        super().__init__()
        self._notes = notes

    def set_result(self, result: Tensors) -> None:
        """Take the answer."""
        super().set_result(result)
        self._notes.append("answered")


class Ends:
    """A wire between a gateway's end and a host's."""

    def __init__(self) -> None:
        self.gateway, self.host = End(), End()
        listen(NAME, lambda: self.host)
        call(NAME, self.gateway)
        withdraw(NAME)

    def told_of_the_end(self) -> tuple[int, int]:
        """How often each was told."""
        return self.gateway.lost, self.host.lost


@pytest.fixture(name="inside")
def _inside() -> bool:
    """The first host of a test is inside this process."""
    return True


def _name(run_dir: Path, pid: int) -> Path:
    path = inside_path(folder(run_dir, MODEL, 1), pid)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.touch()
    return path


async def test_requests_that_come_while_a_batch_runs_share_the_next_run(
    gateway: Gateway, start: Started
) -> None:
    """What a batch is given is run at the loop's next turn, and not by who gave it."""
    runs: list[int] = []

    def run(tensors: Tensors) -> Tensors:
        runs.append(len(tensors[0]))
        return (tensors[0].sum(axis=1, keepdims=True) + 1,)

    await start(run=run, curve=QUICK)
    await gateway.links.wait_connected()
    asked = [gateway.ask([1, 1, n]) for n in range(4)]
    await turn(1)
    assert len(gateway.batcher._away.out) == 1
    assert runs == []
    asked += [gateway.ask([1, 1, n]) for n in range(4, 8)]

    answers = [float((await each)[0][0, 0]) for each in asked]

    assert answers == [n + 3.0 for n in range(8)]
    assert runs == [4, 4]


async def test_answers_leave_before_the_next_batch_runs(gateway: Gateway, start: Started) -> None:
    """Nobody's answer waits for the run of those who asked after him."""
    told: list[str] = []

    def run(tensors: Tensors) -> Tensors:
        told.append("ran")
        return tensors

    await start(run=run, curve=QUICK)
    await gateway.links.wait_connected()
    for _ in range(2):
        gateway.batcher.enqueue(Noted(told), BATCH.tensors, 2, soon())
        await turn(1)

    await until(lambda: gateway.batcher.idle, "both are answered")

    assert told == ["ran", "answered", "ran", "answered"]


async def test_tensors_change_hands_as_they_are(gateway: Gateway, start: Started) -> None:
    """Nothing is copied on the way to the model, nor on the way back."""
    seen: list[Tensors] = []

    def run(tensors: Tensors) -> Tensors:
        seen.append(tensors)
        return tensors

    await start(run=run)
    row = np.ones((1, 3), np.float32)

    (answer,) = await gateway.batcher.submit((row,), 1, soon())

    assert seen[0][0] is row
    assert answer is row


async def test_a_model_is_given_numbers_at_multiples_of_their_size(
    gateway: Gateway, start: Started
) -> None:
    """Packed tensors may lie anywhere in a request; compiled models need not expect that."""
    seen: list[Tensors] = []

    def run(tensors: Tensors) -> Tensors:
        seen.append(tensors)
        return tensors

    await start(run=run)
    packed = b"{" + np.arange(3, dtype=np.float32).tobytes()
    row = np.frombuffer(memoryview(packed)[1:], np.float32).reshape(1, 3)
    assert not row.flags.aligned

    (answer,) = await gateway.batcher.submit((row,), 1, soon())

    assert all(tensor.flags.aligned for tensor in seen[0])
    np.testing.assert_array_equal(answer, row)


async def test_strings_travel(gateway: Gateway, start: Started) -> None:
    """Text reaches the model, and comes back, row for row."""

    def shout(tensors: Tensors) -> Tensors:
        answer = np.empty_like(tensors[0])
        answer[:] = [[text.upper() for text in row] for row in tensors[0].tolist()]
        return (answer,)

    await start(run=shout)
    texts = [np.array([[text]], object) for text in ("grün", "", "日本")]

    answers = await asyncio.gather(*(gateway.batcher.submit((t,), 1, soon()) for t in texts))

    assert [answer[0].tolist() for answer in answers] == [[["GRÜN"]], [[""]], [["日本"]]]


async def test_a_model_that_is_lost_twice_is_told(gateway: Gateway, start: Started) -> None:
    """A batch that met two losses is not tried a third time, as over a socket."""
    gates = Gate(), Gate()
    first = await start(run=gates[0])
    asked = gateway.ask([1, 2, 3])
    await until(gates[0].entered.is_set, "the batch is out")
    second = await start(replica="b", run=gates[1])

    kill(first)
    await until(gates[1].entered.is_set, "the batch is out again")
    kill(second)

    with pytest.raises(Unavailable, match="lost twice"):
        await asked
    for gate in gates:
        gate.open.set()


async def test_an_answer_that_comes_after_the_end_is_nobodys(
    gateway: Gateway, start: Started, caplog: pytest.LogCaptureFixture
) -> None:
    """A thread that ends when its link has gone disturbs neither the next answer nor the log."""
    gate = Gate()
    host = await start(run=gate)
    asked = gateway.ask([1, 2, 3])
    await until(gate.entered.is_set, "the batch is out")
    (link,) = host._links
    link.abort()
    await turn()
    gate.open.set()

    assert float((await asked)[0][0, 0]) == 7.0
    await until(lambda: not link._tasks, "the first run has ended")
    assert await gateway.sum_of([1, 1, 1]) == 4.0
    assert caplog.text == ""


async def test_a_replica_that_has_a_batch_for_long_is_asked_for_a_word(
    gateway: Gateway, start: Started
) -> None:
    """While a run takes its time in a thread the loop answers, and nobody calls it hung."""
    gate = Gate()
    await start(run=gate)
    asked = gateway.ask([1, 2, 3])
    await until(gate.entered.is_set, "the batch is out")
    (replica,) = gateway.links._replicas.values()
    link = replica.link
    assert link is not None

    link.ping()
    asked_for = link.out(0.0)
    await turn()
    heard = link.out(0.0)

    assert asked_for is not None
    assert asked_for.silent_s is not None
    assert heard is not None
    assert heard.silent_s is None
    gate.open.set()
    assert float((await asked)[0][0, 0]) == 7.0


def test_only_its_own_process_takes_a_name_for_an_address(tmp_path: Path) -> None:
    """Another gateway replica's models are nobody else's, whether it lives or not."""
    for pid in (DEAD, os.getppid()):
        _name(tmp_path, pid)
    mine = _name(tmp_path, os.getpid())

    assert addresses(mine.parent) == sockets(mine.parent) == (str(mine),)


async def test_names_of_the_dead_are_taken_away(start: Started, tmp_path: Path) -> None:
    """What is left of a gateway replica that died goes when the next one opens; others stay."""
    dead, other = _name(tmp_path, DEAD), _name(tmp_path, os.getppid())

    await start()

    assert not dead.exists()
    assert other.exists()


async def test_a_stale_name_of_this_process_is_forgotten(
    gateway: Gateway, start: Started, tmp_path: Path
) -> None:
    """One that had this process's id before left it; who really comes is found."""
    stale = _name(tmp_path, os.getpid())
    await until(lambda: not stale.exists(), "the stale name is forgotten")

    await start()

    assert await gateway.sum_of([1, 1, 1]) == 4.0


async def test_a_host_that_has_left_is_not_answered_for(start: Started) -> None:
    """Its name is gone, and so is whoever answered to it."""
    host = await start()
    call(host._address, End())

    await host.drain(0.0)

    assert not host._path.exists()
    with pytest.raises(ConnectionRefusedError):
        call(host._address, End())


async def test_nobody_answers() -> None:
    """A name that nobody has taken refuses, as a socket does."""
    with pytest.raises(ConnectionRefusedError, match=r"somewhere\.inside"):
        call(NAME, End())


async def test_who_asks_waits_for_a_turn_and_who_answers_does_not() -> None:
    """A batch is taken at the next turn, an answer at once."""
    ends = Ends()
    ends.gateway.wire.give(BATCH)
    assert ends.host.seen == []
    await turn()
    assert ends.host.seen == [BATCH]

    ends.host.wire.give(BATCH)

    assert ends.gateway.seen == [BATCH]


@pytest.mark.parametrize("at", ["gateway", "host"])
async def test_the_end_is_told_once_at_each_end(at: str) -> None:
    """Whoever closes, and however often: both hear of it, not before the next turn."""
    ends = Ends()
    transport = getattr(ends, at).wire
    transport.close()
    transport.abort()
    assert transport.is_closing()
    assert ends.told_of_the_end() == (0, 0)

    await turn()

    assert ends.told_of_the_end() == (1, 1)


async def test_what_is_under_way_at_the_end_does_not_arrive() -> None:
    """As with a socket that is aborted; nor does what is written later."""
    ends = Ends()
    ends.gateway.wire.give(BATCH)
    ends.gateway.wire.abort()
    ends.gateway.wire.give(BATCH)
    ends.host.wire.give(BATCH)
    await turn()

    assert ends.told_of_the_end() == (1, 1)
    assert ends.gateway.seen == ends.host.seen == []


async def test_a_gateway_that_says_rubbish_is_left(gateway: Gateway, start: Started) -> None:
    """A frame that has no place at a host ends the wire at both ends, and no other."""
    host = await start()
    await gateway.links.wait_connected()
    babbler = End()
    call(host._address, babbler)
    assert len(host._links) == 2

    babbler.wire.give(Frame(Kind.ANSWER, 1, 1))
    await turn()

    assert babbler.lost == 1
    assert len(host._links) == 1
    assert await gateway.sum_of([1, 1, 1]) == 4.0


async def test_a_surprise_closes_the_wire_at_both_ends() -> None:
    """As one does in a protocol that is given bytes; it is for whoever looks after the loop."""
    ends, heard = Ends(), []
    loop = asyncio.get_running_loop()
    loop.set_exception_handler(lambda _, context: heard.append(context["exception"]))

    ends.gateway.wire.give(Frame(Kind.PING, 0, 0))
    await turn()
    await turn()

    assert ends.told_of_the_end() == (1, 1)
    assert [type(error) for error in heard] == [KeyError]


async def test_a_replica_that_says_rubbish_is_left(gateway: Gateway, start: Started) -> None:
    """An answer to nothing that was asked costs the host its link, and it may come again."""
    host = await start()
    await gateway.links.wait_connected()
    (link,) = host._links

    link.send(Frame(Kind.ANSWER, 1, 99, BATCH.tensors))

    await until(lambda: link not in host._links, "the link has ended")
    (replica,) = gateway.links._replicas.values()
    assert not replica.health.linked
