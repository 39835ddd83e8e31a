"""Requests share batches, and each gets the answer to its own rows and to nothing else."""

from __future__ import annotations

import asyncio

import numpy as np
import pytest
import uvloop
from hypothesis import given, settings
from hypothesis import strategies as st

from configs.errors import Overloaded, Unavailable, WeirError
from serve.models.batcher import Batcher
from serve.models.curve import Curve
from serve.models.frames import Tensors
from tests.serve.models.carriers import Answering, Holding, batcher, doubled, rows, soon
from tests.serve.models.virtual import virtual_time


async def turn(times: int = 3) -> None:
    """Let the loop turn."""
    for _ in range(times):
        await asyncio.sleep(0)


async def _run_all(jobs: list[tuple[int, int]], max_rows: int, carriers: int) -> None:
    gathers = batcher(max_rows=max_rows, queue_max_rows=10_000)
    carrying = [Answering(gathers) for _ in range(carriers)]
    asked = [rows(count, 1000.0 * n, width) for n, (count, width) in enumerate(jobs)]

    answers = await asyncio.gather(*(gathers.submit(job, len(job[0]), soon()) for job in asked))

    for job, answer in zip(asked, answers, strict=True):
        np.testing.assert_array_equal(answer[0], doubled(job)[0])
    batches = [batch for carrier in carrying for batch in carrier.batches]
    largest = max((count for count, _ in jobs), default=0)
    assert all(len(batch[0]) <= max(max_rows, largest) for batch in batches)
    assert sum(len(batch[0]) for batch in batches) == sum(count for count, _ in jobs)
    assert gathers.idle


@settings(max_examples=60)
@given(
    jobs=st.lists(st.tuples(st.integers(0, 6), st.integers(1, 3)), max_size=20),
    max_rows=st.integers(1, 8),
    carriers=st.integers(1, 3),
)
def test_everybody_gets_their_own_rows(
    jobs: list[tuple[int, int]], max_rows: int, carriers: int
) -> None:
    """Jobs of any rows and widths, over any number of links, are answered row for row."""
    uvloop.run(_run_all(jobs, max_rows, carriers))


async def test_a_lone_request_leaves_at_once() -> None:
    """With a free link there is no delay: the request is out on the loop's next turn."""
    gathers = batcher()
    link = Holding(gathers)

    gathers.submit(rows(1), 1, soon())
    await turn()

    assert link.rows() == [1]


async def test_requests_read_together_leave_together() -> None:
    """Requests of one turn of the loop share a batch, though a link was free."""
    gathers = batcher()
    link = Holding(gathers)

    for n in range(3):
        gathers.submit(rows(1, n), 1, soon())
    await turn()

    assert link.rows() == [3]


async def test_the_next_batch_gathers_while_one_is_out() -> None:
    """What arrives while the link is busy goes as one batch when it is free, up to `max_rows`."""
    gathers = batcher(max_rows=4)
    link = Holding(gathers)
    gathers.submit(rows(1), 1, soon())
    await turn()

    for n in range(6):
        gathers.submit(rows(1, n), 1, soon())
    await turn()
    assert link.rows() == [1]
    link.answer()
    link.answer()

    assert link.rows() == [1, 4, 2]


async def test_a_request_larger_than_a_batch_goes_alone() -> None:
    """A request is never cut: one with more rows than `max_rows` is a batch of its own."""
    gathers = batcher(max_rows=4)
    link = Holding(gathers)
    for count in (1, 9, 1):
        gathers.submit(rows(count), count, soon())
    await turn()
    link.answer()
    link.answer()

    assert link.rows() == [1, 9, 1]


async def test_different_shapes_never_share_a_batch() -> None:
    """Rows of other widths wait for a batch of their own, and do not cut that of the others."""
    gathers = batcher()
    link = Holding(gathers)
    for width in (3, 5, 3, 5, 3):
        gathers.submit(rows(1, width=width), 1, soon())
    await turn()
    link.answer()

    assert [batch.tensors()[0].shape for batch in link.seen] == [(3, 3), (2, 5)]


async def test_models_without_a_batch_run_one_request_at_a_time() -> None:
    """When rows cannot be put under one another, every request is a batch."""
    gathers = batcher(batched=False)
    link = Holding(gathers)
    for _ in range(3):
        gathers.submit(rows(2), 1, soon())
    await turn()
    link.answer()
    link.answer()

    assert [len(batch.jobs) for batch in link.seen] == [1, 1, 1]


async def test_several_links_work_at_the_same_time() -> None:
    """A second replica takes the next batch while the first is busy."""
    gathers = batcher()
    first, second = Holding(gathers), Holding(gathers)
    gathers.submit(rows(1), 1, soon())
    await turn()
    gathers.submit(rows(1), 1, soon())
    await turn()

    assert (first.rows(), second.rows()) == ([1], [1])


async def test_cancelled_requests_are_not_sent() -> None:
    """Nobody runs what nobody waits for."""
    gathers = batcher()
    link = Holding(gathers)
    gathers.submit(rows(1), 1, soon())
    await turn()
    gathers.submit(rows(1, 10.0), 1, soon()).cancel()
    wanted = gathers.submit(rows(1, 20.0), 1, soon())
    link.answer()

    assert link.rows() == [1, 1]
    link.answer()
    np.testing.assert_array_equal((await wanted)[0], doubled(rows(1, 20.0))[0])
    assert gathers.idle


async def test_an_answer_to_a_cancelled_request_is_ignored() -> None:
    """One caller who leaves while the batch is out costs the others nothing."""
    gathers = batcher()
    link = Holding(gathers)
    left, stayed = gathers.submit(rows(1), 1, soon()), gathers.submit(rows(1, 9.0), 1, soon())
    await turn()
    left.cancel()
    link.answer()

    np.testing.assert_array_equal((await stayed)[0], doubled(rows(1, 9.0))[0])


async def test_a_full_queue_refuses_at_once() -> None:
    """Too many waiting rows are `Unavailable`; room comes back when a batch leaves."""
    gathers = batcher(max_rows=4, queue_max_rows=8)
    link = Holding(gathers)
    gathers.submit(rows(1), 1, soon())
    await turn()
    for _ in range(8):
        gathers.submit(rows(1), 1, soon())

    with pytest.raises(Unavailable, match="8 rows are waiting"):
        gathers.submit(rows(1), 1, soon())
    link.answer()
    gathers.submit(rows(4), 4, soon())


async def test_one_request_may_exceed_an_empty_queue() -> None:
    """A single request larger than the queue is not turned away when nothing waits."""
    gathers = batcher(queue_max_rows=8)

    assert not gathers.submit(rows(20), 20, soon()).done()


async def test_trace_contexts_travel_with_their_batch() -> None:
    """A batch carries the contexts of those of its requests that are traced."""
    gathers = batcher()
    link = Holding(gathers)
    for trace in (None, "first", None, "second"):
        gathers.submit(rows(1), 1, soon(), trace)
    await turn()

    assert link.out[0].traces() == ("first", "second")


async def test_every_batch_is_told_by_its_rows() -> None:
    """`on_batch` hears of each batch that leaves."""
    gathers = batcher(max_rows=2)
    told: list[int] = []
    gathers.on_batch = told.append
    Answering(gathers)

    await asyncio.gather(*(gathers.submit(rows(1, n), 1, soon()) for n in range(5)))

    assert told == [2, 2, 1]


async def test_a_version_holds_so_many_requests_and_no_more() -> None:
    """What waits and what is out count together; the next is refused at once, and told to wait."""
    gathers = Batcher(batched=True, max_rows=8, queue_max_rows=100, jobs_max=3)
    link = Holding(gathers)
    first = gathers.submit(rows(1), 1, soon())
    await turn()
    gathers.submit(rows(1), 1, soon())
    gathers.submit(rows(1), 1, soon())

    with pytest.raises(Overloaded):
        gathers.submit(rows(1), 1, soon())
    link.answer()
    await first
    gathers.submit(rows(1), 1, soon())


async def test_a_batch_is_bounded_in_bytes_too() -> None:
    """Large tensors do not run together, however few rows they are."""
    wide = (np.zeros((1, 10 * 2**20), np.float32),)
    strings = (np.array([["x" * (40 * 2**20)]], dtype=object),)

    for tensors in (wide, strings):
        gathers = batcher()
        link = Holding(gathers)
        for _ in range(2):
            gathers.submit(tensors, 1, soon())
        await turn()
        gathers.answered(link.out.pop(), (np.zeros(1),), link)

        assert link.rows() == [1, 1]


async def test_replicas_take_turns() -> None:
    """The one that has been free for longest is next, so that none is forgotten."""
    gathers = batcher()
    links = [Holding(gathers) for _ in range(3)]
    for _ in range(6):
        gathers.submit(rows(1), 1, soon())
        await turn()
        next(link for link in links if link.out).answer()

    assert [link.rows() for link in links] == [[1, 1]] * 3


async def test_replicas_that_are_free_share_what_waits() -> None:
    """Rows that each cost a run of their own are not given to one replica alone."""
    gathers = batcher(max_rows=100)
    gathers.learn(Curve((1, 100), (1.0, 100.0)))
    links = [Holding(gathers) for _ in range(4)]
    for n in range(8):
        gathers.submit(rows(1, n), 1, soon(1000.0))
    await turn()

    assert [link.rows() for link in links] == [[1]] * 4

    gathers = batcher(max_rows=100)
    gathers.learn(Curve((1, 100), (1.0, 34.0)))
    links = [Holding(gathers) for _ in range(4)]
    for n in range(40):
        gathers.submit(rows(1, n), 1, soon(1000.0))
    await turn()

    assert [link.rows() for link in links] == [[10]] * 4


async def test_a_batch_is_small_enough_for_the_nearest_deadline() -> None:
    """What would make somebody late goes with the next batch; nobody is told before his time."""
    gathers = batcher(max_rows=100)
    gathers.learn(Curve((1, 100), (1.0, 100.0 / 30)))
    link = Holding(gathers)
    gathers.submit(rows(1), 1, soon(1.2))
    for n in range(20):
        gathers.submit(rows(1, n), 1, soon(1000.0))
    await turn()

    (first,) = link.rows()
    assert 1 < first < 12
    link.answer()
    assert sum(link.rows()) == 21


class Deaf:
    """Waits for an answer, and does nothing with it."""

    def done(self) -> bool:
        """Whether it was told: never."""
        return False

    def set_result(self, result: Tensors, /) -> None:
        """Do nothing."""

    def set_exception(self, exception: WeirError, /) -> None:
        """Do nothing."""


def test_a_throttled_replica_gets_smaller_batches_from_those_in_a_hurry() -> None:
    """What batches really took counts, not what was measured when the version was loaded."""
    with virtual_time() as loop:
        gathers = batcher(max_rows=100, queue_max_rows=1000)
        gathers.learn(Curve((1, 100), (1.0, 4.0)))
        link = Holding(gathers)
        for _ in range(60):
            gathers.enqueue(Deaf(), rows(1), 1, loop.now + 1000.0)
            loop.turn()
            loop.wait(10.0)
            link.answer()
        link.seen.clear()
        gathers.enqueue(Deaf(), rows(1), 1, loop.now + 30.0)
        for _ in range(99):
            gathers.enqueue(Deaf(), rows(1), 1, loop.now + 1000.0)
        loop.turn()

        assert 50 < link.rows()[0] < 75
