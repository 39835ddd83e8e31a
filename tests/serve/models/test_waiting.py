"""Requests of many shapes wait apart; none waits for ever, and no shape is remembered for ever."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from serve.models.batch import Batch, Job
from serve.models.caps import Caps, Room
from serve.models.waiting import MAX_BYTES, Waiting


class Nobody:
    """An answer that a test marks as told."""

    def __init__(self) -> None:
        self.told = False

    def done(self) -> bool:
        """Whether it was told."""
        return self.told

    def set_result(self, result: object, /) -> None:
        """Be told."""

    def set_exception(self, exception: Exception, /) -> None:
        """Be told."""


def job(at: float, width: int = 3, rows: int = 1) -> Job:
    """A job that came at a moment."""
    return Job((np.zeros((rows, width), np.float32),), rows, 100.0, Nobody(), None, at)


def next_of(waiting: Waiting, most: int) -> Batch:
    """The next batch of at most so many rows."""
    bucket = waiting.oldest()
    assert bucket is not None
    batch = waiting.take_all(bucket, most)
    return batch or waiting.take(bucket, Room(most, MAX_BYTES, Caps(most), 0.0).takes)


@given(
    st.lists(st.tuples(st.integers(1, 4), st.integers(0, 3), st.booleans()), max_size=60),
    st.integers(1, 8),
)
def test_no_shape_waits_for_ever(comes: list[tuple[int, int, bool]], most: int) -> None:
    """Each batch has the oldest job of all, however many of other shapes come meanwhile."""
    waiting = Waiting(batched=True)
    for at, (width, rows, served) in enumerate(comes):
        waiting.add(job(float(at), width, rows))
        if served:
            oldest = min(waiting, key=lambda held: held.queued_at)
            assert next_of(waiting, most).jobs[0] is oldest
    while waiting.jobs:
        oldest = min(waiting, key=lambda held: held.queued_at)
        batch = next_of(waiting, most)
        assert batch.jobs[0] is oldest
        times = [held.queued_at for held in batch.jobs]
        assert times == sorted(times)
    assert waiting.rows == 0


def test_alternating_shapes_fill_batches() -> None:
    """Two shapes that take turns make two batches, not one for each request."""
    waiting = Waiting(batched=True)
    for at in range(20):
        waiting.add(job(float(at), width=3 + at % 2))

    assert [len(next_of(waiting, 8).jobs) for _ in range(4)] == [8, 8, 2, 2]


def test_shapes_that_callers_make_up_are_forgotten() -> None:
    """Ten thousand shapes, one after the other or left by all at once, leave a few buckets."""
    waiting = Waiting(batched=True)
    for width in range(10_000):
        waiting.add(job(float(width), width))
        next_of(waiting, 8)
    assert len(waiting._buckets) < 50

    for width in range(100):
        waiting.add(job(float(width), width))
        waiting.add(job(float(width), width))
    while waiting.jobs:
        next_of(waiting, 8)
    assert len(waiting._buckets) < 50

    for width in range(100):
        waiting.add(job(float(width), width))
    while (bucket := waiting.oldest()) is not None:
        waiting.take_first(bucket)
    assert len(waiting._buckets) < 50

    gone = [job(float(width), width) for width in range(100)]
    for leaving in gone:
        waiting.add(leaving)
        leaving.answer = told()
    waiting.forget_done()
    assert len(waiting._buckets) < 50
    assert (waiting.jobs, waiting.rows) == (0, 0)


def told() -> Nobody:
    """An answer that nobody waits for."""
    answer = Nobody()
    answer.told = True
    return answer


def test_nobody_is_served_who_does_not_wait() -> None:
    """Jobs whose answer is known already are dropped on the way, whichever way is taken."""
    for most in (100, 2):
        waiting = Waiting(batched=True)
        jobs = [job(float(at)) for at in range(6)]
        for each in jobs:
            waiting.add(each)
        jobs[0].answer = jobs[3].answer = told()

        batches = []
        while waiting.jobs:
            batches.append(next_of(waiting, most))

        assert [each for batch in batches for each in batch.jobs] == [jobs[n] for n in (1, 2, 4, 5)]
        assert sum(batch.rows for batch in batches) == 4
