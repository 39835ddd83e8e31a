"""Deadlines, lost links and failing rows cost those concerned, once, and nobody else."""

from __future__ import annotations

import asyncio

import numpy as np
import pytest
import uvloop

from configs.errors import DeadlineExceeded, ModelFailed, NotReady, Unavailable, WeirError
from serve.models.batch import Batch
from serve.models.frames import Tensors
from tests.serve.models.carriers import Holding, batcher, doubled, rows, soon
from tests.serve.models.test_batch import Told
from tests.serve.models.test_batcher import turn
from tests.serve.models.virtual import virtual_time
from tests.serve.waiting import PATIENCE_S, until


def test_a_request_that_waits_too_long_is_told() -> None:
    """Without any link a request ends at its deadline, not later."""
    with virtual_time() as loop:
        gathers, answer = batcher(), Told()
        gathers.enqueue(answer, rows(1), 1, loop.now + 0.05)

        loop.wait(0.045)
        assert answer.error is None

        loop.wait(0.01)
        assert isinstance(answer.error, DeadlineExceeded)


async def test_what_can_be_answered_elsewhere_waits_for_no_replica() -> None:
    """Neither what was out nor what waited; the others wait for a new one."""
    gathers = batcher()
    link = Holding(gathers)
    elsewhere = [asyncio.get_running_loop().create_future() for _ in range(2)]
    gathers.enqueue(elsewhere[0], rows(1), 1, soon(), None, True)
    await turn()
    gathers.enqueue(elsewhere[1], rows(1), 1, soon(), None, True)
    patient = gathers.submit(rows(1), 1, soon())

    link.lose()
    gathers.stranded()

    for told in elsewhere:
        with pytest.raises(Unavailable):
            await told
    Holding(gathers).answer()
    assert (await patient)[0].tolist() == doubled(rows(1))[0].tolist()


async def test_a_batch_that_is_out_too_long_is_dropped() -> None:
    """At the deadline callers are told; the link is given up soon after, for it may hang.

    Not at once: clients choose deadlines, and could make links break as often as they like.
    """
    gathers = batcher()
    link = Holding(gathers)

    with pytest.raises(DeadlineExceeded):
        await gathers.submit(rows(1), 1, soon(0.05))
    await turn()
    assert link.dropped == 0

    await until(lambda: link.dropped == 1, "the link is given up")
    assert gathers.idle


async def test_a_batch_is_dropped_only_when_nobody_waits_for_it() -> None:
    """As long as one request of a batch may still be answered the link is kept."""
    gathers = batcher()
    link = Holding(gathers)
    short = gathers.submit(rows(1), 1, soon(0.05))
    long = gathers.submit(rows(1, 9.0), 1, soon())
    await turn()

    with pytest.raises(DeadlineExceeded):
        await short
    await turn()
    assert link.dropped == 0
    link.answer()

    np.testing.assert_array_equal((await long)[0], doubled(rows(1, 9.0))[0])


async def test_a_later_request_has_a_deadline_too() -> None:
    """After one deadline has passed the next one is watched."""
    gathers = batcher()
    first, second = (gathers.submit(rows(1), 1, soon(seconds)) for seconds in (0.02, 0.06))

    for waiting in (first, second):
        with pytest.raises(DeadlineExceeded):
            await waiting


async def test_a_shorter_deadline_goes_before_a_longer_one() -> None:
    """Who is in a hurry is told in time, though somebody more patient came before."""
    gathers = batcher()
    patient = gathers.submit(rows(1), 1, soon())
    hasty = gathers.submit(rows(1), 1, soon(0.05))

    with pytest.raises(DeadlineExceeded):
        await asyncio.wait_for(hasty, PATIENCE_S)

    assert not patient.done()


async def test_expired_requests_make_room() -> None:
    """Rows that nobody waits for any more do not fill the queue."""
    gathers = batcher(queue_max_rows=2)
    expired = [gathers.submit(rows(1), 1, soon(0.02)) for _ in range(2)]
    for waiting in expired:
        with pytest.raises(DeadlineExceeded):
            await waiting

    assert gathers.idle
    gathers.submit(rows(2), 2, soon())


async def test_a_lost_batch_is_sent_once_more() -> None:
    """When the link breaks, the batch goes over the next one and is answered."""
    gathers = batcher()
    retries: list[None] = []
    gathers.on_retry = lambda: retries.append(None)
    first = Holding(gathers)
    answer = gathers.submit(rows(1), 1, soon())
    await turn()
    second = Holding(gathers)

    first.lose()
    second.answer()

    np.testing.assert_array_equal((await answer)[0], doubled(rows(1))[0])
    assert len(retries) == 1


async def test_a_batch_lost_twice_is_not_sent_again() -> None:
    """The second loss is final: a request that kills replicas must not kill them all."""
    gathers = batcher()
    links = [Holding(gathers) for _ in range(3)]
    answer = gathers.submit(rows(1), 1, soon())
    await turn()

    links[0].lose()
    links[1].lose()

    with pytest.raises(Unavailable, match="lost twice"):
        await answer
    assert links[2].seen == []


async def test_a_lost_batch_goes_before_what_waits() -> None:
    """Those who were sent first are answered first."""
    gathers = batcher(max_rows=1)
    first = Holding(gathers)
    gathers.submit(rows(1, 1.0), 1, soon())
    await turn()
    gathers.submit(rows(1, 2.0), 1, soon())
    first.lose()

    second = Holding(gathers)

    assert second.out[0].tensors()[0][0, 0] == 1.0


async def test_a_second_try_nobody_waits_for_is_not_made() -> None:
    """A batch that was dropped at its deadline is neither sent nor counted as a retry."""
    gathers = batcher()
    retries: list[None] = []
    gathers.on_retry = lambda: retries.append(None)
    Holding(gathers)
    with pytest.raises(DeadlineExceeded):
        await gathers.submit(rows(1), 1, soon(0.02))
    await turn()

    other = Holding(gathers)

    assert other.seen == []
    assert retries == []


class Picky(Holding):
    """Fails batches in which a row is negative."""

    def carry(self, batch: Batch) -> None:
        """Answer soon, or fail."""
        super().carry(batch)
        asyncio.get_running_loop().call_soon(self._settle)

    def _settle(self) -> None:
        if (self.out[0].tensors()[0] < 0).any():
            self.batcher.failed(self.out.pop(), ModelFailed("a row is negative"))
            self.batcher.free(self)
        else:
            self.answer()


async def test_failing_rows_cost_only_their_caller() -> None:
    """When a batch fails its requests run alone: the one at fault is told, the others answered."""
    gathers = batcher()
    link = Picky(gathers)
    asked = [rows(2, first) for first in (0.0, -100.0, 50.0)]

    answers = await asyncio.gather(
        *(gathers.submit(job, 2, soon()) for job in asked), return_exceptions=True
    )

    assert isinstance(answers[1], ModelFailed)
    for place in (0, 2):
        answer = answers[place]
        assert isinstance(answer, tuple)
        np.testing.assert_array_equal(answer[0], doubled(asked[place])[0])
    assert link.rows() == [6, 2, 2, 2]
    assert gathers.idle


async def test_a_model_that_is_not_there_is_so_for_all() -> None:
    """A batch that waited in vain for its model is refused as a whole, and waits no second time."""
    gathers = batcher()
    link = Holding(gathers)
    asked = [gathers.submit(rows(2, first), 2, soon()) for first in (0.0, 50.0)]
    await turn()

    gathers.failed(link.out.pop(), Unavailable("it is still being loaded"))
    gathers.free(link)

    answers = await asyncio.gather(*asked, return_exceptions=True)
    assert [type(answer) for answer in answers] == [Unavailable, Unavailable]
    assert link.rows() == [4]
    assert gathers.idle


async def test_an_answer_with_other_rows_is_nobodys() -> None:
    """A model that drops rows inside a shared batch must not shift answers between callers."""

    def without_zeros(tensors: Tensors) -> Tensors:
        (sums,) = doubled(tensors)
        return (sums[sums != 0],)

    gathers = batcher()
    link = Holding(gathers)
    empty = gathers.submit((np.zeros((1, 3)),), 1, soon())
    full = gathers.submit((np.ones((1, 3)),), 1, soon())
    await turn()
    for _ in range(3):
        await turn()
        if link.out:
            link.answer(without_zeros)

    for waiting, wanted in ((empty, []), (full, [6.0])):
        try:
            got = (await waiting)[0].tolist()
        except WeirError:
            continue
        assert got == wanted


async def test_close_tells_everybody() -> None:
    """Requests that wait, and those that are out, learn that the version has gone."""
    gathers = batcher(max_rows=1)
    Holding(gathers)
    asked = [gathers.submit(rows(1), 1, soon()) for _ in range(3)]
    await turn()

    gathers.close(NotReady("gone"))

    for waiting in asked:
        with pytest.raises(NotReady, match="gone"):
            await waiting


async def test_a_closed_batcher_takes_nothing() -> None:
    """A request that comes after the end is told so; it must not wait for ever."""
    gathers = batcher()
    early = gathers.submit(rows(1), 1, soon())
    gathers.close(NotReady("gone"))
    with pytest.raises(NotReady):
        await early

    async def submit() -> Tensors:
        return await gathers.submit(rows(1), 1, soon(0.05))

    with pytest.raises(WeirError):
        await asyncio.wait_for(submit(), PATIENCE_S)


async def test_withdrawn_links_get_nothing() -> None:
    """A link that was taken back is not given a batch; taking it back twice does no harm."""
    gathers = batcher()
    link = Holding(gathers)
    gathers.withdraw(link)
    gathers.withdraw(link)

    gathers.submit(rows(1), 1, soon())
    await turn()

    assert link.seen == []


def test_a_deadline_that_has_passed_costs_nobody_else() -> None:
    """One who comes too late is told so, and the next is taken, on the loop that is used."""

    async def ask() -> None:
        gathers = batcher()
        late = gathers.submit(rows(1), 1, soon(-1.0))
        in_time = gathers.submit(rows(1), 1, soon())

        with pytest.raises(DeadlineExceeded):
            await late
        assert not in_time.done()

    uvloop.run(ask())
