"""Whatever comes, goes, fails or leaves, in any order: everybody is told once, of their own rows.

Rows that reach another caller are the worst that a server can do, since nobody notices.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from contextlib import ExitStack
from typing import Any

import numpy as np
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule
from numpy.typing import NDArray

from configs.errors import ModelFailed, WeirError
from serve.models.batch import Batch
from serve.models.batcher import Batcher
from serve.models.curve import Curve
from serve.models.frames import Tensors
from tests.serve.models.virtual import virtual_time

MAX_ROWS = 8


class Caller:
    """Waits for an answer, and knows which one is its own."""

    def __init__(self, number: int, rows: int, width: int, then: Callable[[], None]) -> None:
        first = 1000.0 * number
        count = rows * width
        self.inputs: Tensors = (
            first + np.arange(count, dtype=np.float64).reshape(rows, width),
            np.array([[f"{number}.{row}"] for row in range(rows)], dtype=object).reshape(rows, 1),
        )
        self.rows = rows
        self.told: Tensors | WeirError | None = None
        self.left = False
        self._then = then

    def done(self) -> bool:
        """Whether it was told, or has left without a word."""
        return self.left or self.told is not None

    def set_result(self, result: Tensors, /) -> None:
        """Take an answer, which must be the own one and the only one."""
        assert not self.done()
        self.told = result
        for got, own in zip(result, answer_to(self.inputs), strict=True):
            np.testing.assert_array_equal(got, own)
        self._then()

    def set_exception(self, exception: WeirError, /) -> None:
        """Take a reason, which must be the only word."""
        assert not self.done()
        self.told = exception


def answer_to(inputs: Tensors) -> Tensors:
    """What a model gives: something of every input, of shapes of its own."""
    numbers, names = inputs
    sums: NDArray[Any] = 2 * numbers.sum(axis=1)
    return (sums, numbers + 1, names)


class Replica:
    """Carries one batch at a time."""

    def __init__(self) -> None:
        self.out: Batch | None = None
        self.dropped = False

    def carry(self, batch: Batch) -> None:
        """Take a batch that somebody waits for, if there is none."""
        assert self.out is None
        assert not batch.forsaken
        self.out = batch

    def drop(self) -> None:
        """Give up; the machine loses the batch later."""
        self.dropped = True


class Batching(RuleBasedStateMachine):
    """A batcher, its callers and its replicas."""

    def __init__(self) -> None:
        super().__init__()
        self._stack = ExitStack()
        self.loop = self._stack.enter_context(virtual_time())
        self.batcher = Batcher(batched=True, max_rows=MAX_ROWS, queue_max_rows=100, jobs_max=40)
        self.callers: list[Caller] = []
        self.replicas: list[Replica] = []
        self.raised = 0

    @rule(
        rows=st.integers(0, 5),
        width=st.integers(1, 3),
        seconds=st.sampled_from([0.01, 0.5, 30.0]),
        then=st.sampled_from(["", "", "", "raise", "ask"]),
    )
    def ask(self, rows: int, width: int, seconds: float, then: str) -> None:
        """Ask; some callers raise when they are told, some ask for more within that call."""

        def reaction() -> None:
            if then == "raise":
                self.raised += 1
                raise ValueError("a caller who breaks its word")
            if then == "ask":
                self.ask(1, width, 30.0, "")

        caller = Caller(len(self.callers), rows, width, reaction)
        try:
            self.batcher.enqueue(caller, caller.inputs, rows, self.loop.now + seconds)
        except WeirError:
            assert self.batcher.in_flight > 10
        else:
            self.callers.append(caller)

    @rule(n=st.integers(2, 5), data=st.data())
    def ask_together(self, n: int, data: st.DataObject) -> None:
        """Several ask at once."""
        for _ in range(n):
            self.ask(data.draw(st.integers(0, 3)), data.draw(st.integers(1, 2)), 30.0, "")

    @precondition(lambda self: len(self.replicas) < 4)
    @rule()
    def join(self) -> None:
        """A replica comes."""
        self.replicas.append(Replica())
        self.batcher.free(self.replicas[-1])

    @precondition(lambda self: self.replicas)
    @rule(pick=st.randoms(use_true_random=False))
    def leave(self, pick: Any) -> None:
        """A replica leaves, and loses what it has."""
        replica = pick.choice(self.replicas)
        self.replicas.remove(replica)
        self.batcher.withdraw(replica)
        if replica.out is not None:
            self.batcher.lost(replica.out)

    @precondition(lambda self: self.busy())
    @rule(pick=st.randoms(use_true_random=False), first=st.booleans())
    def answer(self, pick: Any, first: bool) -> None:
        """A replica answers; it may be given the next batch before, or after, callers are told."""
        replica, batch = self._take_out(pick)
        answer = answer_to(batch.tensors())
        if first:
            self.batcher.answered(batch, answer, replica)
        else:
            self.batcher.answered(batch, answer)
            self.batcher.free(replica)
        self.batcher.answered(batch, answer)  # Twice is once.

    @precondition(lambda self: self.busy())
    @rule(pick=st.randoms(use_true_random=False))
    def answer_too_few_rows(self, pick: Any) -> None:
        """A model drops a row of a shared batch."""
        replica, batch = self._take_out(pick)
        answer = answer_to(batch.tensors())
        if len(batch.jobs) > 1 and batch.rows:
            answer = (answer[0][1:], *answer[1:])
        self.batcher.answered(batch, answer, replica)
        self.batcher.answered(batch, answer)

    @precondition(lambda self: self.busy())
    @rule(pick=st.randoms(use_true_random=False), leaves=st.booleans())
    def fail(self, pick: Any, leaves: bool) -> None:
        """The model fails, of a replica that stays or of one that leaves."""
        replica, batch = self._take_out(pick)
        self.batcher.failed(batch, ModelFailed("it does not like this"))
        if leaves:
            self.replicas.remove(replica)
        else:
            self.batcher.free(replica)

    @precondition(lambda self: self.pending())
    @rule(pick=st.randoms(use_true_random=False), said=st.booleans())
    def give_up(self, pick: Any, said: bool) -> None:
        """A caller leaves, with or without a word."""
        caller = pick.choice(self.pending())
        if said:
            self.batcher.give_up(caller)
        else:
            caller.left = True

    @rule(seconds=st.sampled_from([0.0, 0.01, 0.3, 1.0]))
    def wait(self, seconds: float) -> None:
        """Time passes; replicas that were told to drop their batch lose it."""
        self.loop.wait(seconds)
        for replica in [r for r in self.replicas if r.dropped]:
            self.replicas.remove(replica)
            if replica.out is not None:
                self.batcher.lost(replica.out)

    @rule(fixed=st.sampled_from([0.0001, 0.1, 1.0]), each=st.sampled_from([0.0, 0.001, 0.2]))
    def learn(self, fixed: float, each: float) -> None:
        """A replica tells how long runs take."""
        self.batcher.learn(Curve((1, 2, 16), tuple(fixed + each * rows for rows in (1, 2, 16))))

    @invariant()
    def everybody_is_in_one_place(self) -> None:
        """Who waits for an answer is waiting or away, once; what is counted is what there is."""
        waiting = [job.answer for job in self.batcher._waiting]
        away = [job.answer for batch in self.batcher._away for job in batch.jobs]
        places = Counter(map(id, (*waiting, *away)))
        assert set(places.values()) <= {1}
        assert {id(caller) for caller in self.pending()} <= places.keys()
        assert self.batcher.in_flight == len(waiting) + len(away)
        assert self.batcher._waiting.rows == sum(job.rows for job in self.batcher._waiting)
        assert self.batcher.carriers == len(self.replicas)

    @invariant()
    def nothing_waits_without_need(self) -> None:
        """Once the loop has turned, no replica is free while somebody waits."""
        self.loop.turn()
        if any(replica.out is None for replica in self.replicas):
            assert not [job for job in self.batcher._waiting if not job.answer.done()]
            assert all(batch.forsaken for batch in self.batcher._away.again)

    @invariant()
    def batches_keep_their_bounds(self) -> None:
        """Rows of one width, and no more than allowed unless a job is alone."""
        for replica in self.busy():
            batch = replica.out
            assert batch is not None
            assert batch.rows == sum(job.rows for job in batch.jobs)
            assert len({job.tensors[0].shape[1:] for job in batch.jobs}) == 1
            assert len(batch.jobs) == 1 or batch.rows <= MAX_ROWS

    @invariant()
    def mistakes_are_reported(self) -> None:
        """A caller who raises is reported once."""
        assert len(self.loop.mistakes) == self.raised

    def busy(self) -> list[Replica]:
        """The replicas that have a batch."""
        return [replica for replica in self.replicas if replica.out is not None]

    def pending(self) -> list[Caller]:
        """The callers who still wait."""
        return [caller for caller in self.callers if not caller.done()]

    def _take_out(self, pick: Any) -> tuple[Replica, Batch]:
        replica: Replica = pick.choice(self.busy())
        batch, replica.out = replica.out, None
        replica.dropped = False  # There is nothing left that it could drop.
        assert batch is not None
        return replica, batch

    def teardown(self) -> None:
        """In the end all are told and nothing is left."""
        self.join()
        for _ in range(1000):
            self.loop.turn()
            if not self.busy():
                break
            replica = self.busy()[0]
            batch, replica.out = replica.out, None
            assert batch is not None
            self.batcher.answered(batch, answer_to(batch.tensors()), replica)
        self.loop.wait(60.0)
        assert not self.pending()
        assert self.batcher.idle
        assert self.batcher.in_flight == 0
        assert self.batcher._expiry.earliest == float("inf")
        self._stack.close()


TestBatching = Batching.TestCase
TestBatching.settings = settings(max_examples=60, stateful_step_count=40, deadline=None)
