"""Requests that wait go together: while one batch is out, the next gathers.

Nothing is delayed on purpose: a request that finds a free link leaves at once.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable
from time import perf_counter
from typing import Any

from numpy.typing import NDArray

from configs.errors import (
    ClientGone,
    DeadlineExceeded,
    ModelFailed,
    Overloaded,
    Unavailable,
    WeirError,
)
from serve.models.batch import Answer, Batch, Carrier, Job
from serve.models.frames import Tensors

_GRACE_S = 0.5
"""How long a batch may be out though nobody waits for it."""

_MANY = 1 << 31
_MAX_BYTES = 64 * 2**20
"""How many bytes of tensors run together at most; copying them holds up everybody."""


class Batcher:
    """Gathers the jobs of one version into batches and hands them to free carriers.

    `on_batch` is told the rows of every batch that leaves, `on_retry` of every second try, `on_ran`
    the jobs of every batch that comes back and for how many seconds it was out. The `jobs_ran`
    waited for `seconds_queued` in all, and were out for `seconds_ran`.
    """

    def __init__(
        self, *, batched: bool, max_rows: int, queue_max_rows: int, jobs_max: int = _MANY
    ) -> None:
        self._loop = asyncio.get_running_loop()
        self._batched = batched
        self._max_rows = max_rows
        self._queue_max_rows = queue_max_rows
        self._jobs_max = jobs_max
        self._waiting: deque[Job] = deque()
        self._again: deque[Batch] = deque()
        self._free: deque[Carrier] = deque()
        self._out: dict[Batch, Carrier] = {}
        self._pumping = False
        self._sweep: asyncio.TimerHandle | None = None
        self._tidying = False
        self._forsaking: asyncio.TimerHandle | None = None
        self._rows_waiting = 0
        self._jobs_out = 0
        self.jobs_ran = 0
        self.rows_ran = 0
        self.batches_ran = 0
        self.seconds_queued = 0.0
        self.seconds_ran = 0.0
        self._closed: WeirError | None = None
        self.on_batch: Callable[[int], None] = _ignore
        self.on_retry: Callable[[], None] = _nothing
        self.on_ran: Callable[[int, float], None] = _disregard

    @property
    def idle(self) -> bool:
        """Whether nothing waits and nothing is out."""
        return not (self._waiting or self._again or self._out)

    @property
    def in_flight(self) -> int:
        """How many jobs wait or are out."""
        return len(self._waiting) + len(self._again) + self._jobs_out

    @property
    def carriers(self) -> int:
        """How many batches can be out at once."""
        return len(self._free) + len(self._out)

    def submit(
        self, tensors: Tensors, rows: int, deadline: float, trace: str | None = None
    ) -> asyncio.Future[Tensors]:
        """Queue a request as `enqueue` does, and give the future of its answer."""
        answer: asyncio.Future[Tensors] = self._loop.create_future()
        self.enqueue(answer, tensors, rows, deadline, trace)
        return answer

    def enqueue(
        self, answer: Answer, tensors: Tensors, rows: int, deadline: float, trace: str | None = None
    ) -> None:
        """Queue a request; `Unavailable` at once when too much waits or is out already."""
        if self._closed is not None:
            raise type(self._closed)(self._closed.message)
        if self._rows_waiting and self._rows_waiting + rows > self._queue_max_rows:
            raise Unavailable(f"{self._rows_waiting} rows are waiting already; try again")
        size = sum(map(_size, tensors))
        if self.in_flight >= self._jobs_max:
            raise Overloaded(f"{self.in_flight} requests are in flight already; try again")
        job = Job(tensors, rows, deadline, answer, trace, size)
        self._waiting.append(job)
        self._rows_waiting += rows
        if self._free:
            self._pump_soon()
        if self._sweep is None or deadline < self._sweep.when():
            self._sweep_at(deadline)

    def give_up(self, answer: Answer) -> None:
        """Let go of a request whose client has left: it gets `ClientGone`, and never starts.

        Its rows make room at once. If it is out already, and nobody else waits for its batch, the
        batch is dropped unless it comes back soon.
        """
        if not answer.done():
            answer.set_exception(ClientGone("the client left before it got its answer"))
        if not self._tidying:
            self._tidying = True
            self._loop.call_soon(self._tidy)

    def free(self, carrier: Carrier) -> None:
        """Offer a carrier that can take a batch."""
        self._free.append(carrier)
        if self._waiting or self._again:
            self._pump()

    def withdraw(self, carrier: Carrier) -> None:
        """Take back a carrier that can no longer carry; no matter if it was not offered."""
        if carrier in self._free:
            self._free.remove(carrier)

    def answered(self, batch: Batch, answer: Tensors, carrier: Carrier | None = None) -> None:
        """Hand out the answer to a batch; one that is not row for row is nobody's.

        A `carrier` that is free again leaves with what waits before answers are written.
        """
        self._came_back(batch, ran=True)
        if carrier is not None:
            self.free(carrier)
        if len(batch.jobs) > 1 and any(tensor.shape[:1] != (batch.rows,) for tensor in answer):
            self.failed(batch, ModelFailed("the model does not answer row by row"))
        else:
            batch.resolve(answer)

    def failed(self, batch: Batch, error: WeirError) -> None:
        """Reject a job that the model cannot run; jobs of a batch are tried alone first.

        One caller's rows must not cost the others their answer. A model that is not there now is
        so for all of them: what waited for it once does not wait again.
        """
        self._came_back(batch, ran=len(batch.jobs) == 1)
        if len(batch.jobs) == 1 or isinstance(error, Unavailable):
            batch.reject(error)
        else:
            self._again += [Batch([job], job.rows) for job in batch.jobs]
            self._pump_soon()

    def lost(self, batch: Batch) -> None:
        """Send a batch whose link broke once more: inference is pure; a second loss is final."""
        self._came_back(batch, ran=False)
        if batch.forsaken:
            return
        if batch.tries > 1:
            batch.reject(Unavailable("the version's replica was lost twice; try again"))
            return
        self.on_retry()
        self._again.append(batch)
        self._pump()

    def close(self, error: WeirError) -> None:
        """Reject everything that still waits, and whatever comes later."""
        self._closed = error
        for batch in (*self._again, *self._out):
            batch.reject(error)
        Batch(list(self._waiting), 0).reject(error)
        self._again.clear()
        self._waiting.clear()
        self._rows_waiting = 0
        for timer in (self._sweep, self._forsaking):
            if timer is not None:
                timer.cancel()

    def _pump_soon(self) -> None:
        """Let the requests that were read together leave together."""
        if not self._pumping:
            self._pumping = True
            self._loop.call_soon(self._pump)

    def _pump(self) -> None:
        self._pumping = False
        while self._free:
            batch = self._next()
            if batch is None:
                return
            batch.tries += 1
            self.on_batch(batch.rows)
            carrier = self._free.popleft()
            self._out[batch] = carrier
            self._jobs_out += len(batch.jobs)
            batch.left_at = perf_counter()
            carrier.carry(batch)

    def _came_back(self, batch: Batch, *, ran: bool) -> None:
        if batch not in self._out:
            return
        if ran:
            seconds = perf_counter() - batch.left_at
            self.jobs_ran += len(batch.jobs)
            self.rows_ran += batch.rows
            self.batches_ran += 1
            self.seconds_ran += seconds * len(batch.jobs)
            self.seconds_queued += sum(batch.left_at - job.queued_at for job in batch.jobs)
            self.on_ran(len(batch.jobs), seconds)
        del self._out[batch]
        self._jobs_out -= len(batch.jobs)

    def _next(self) -> Batch | None:
        while self._again:
            batch = self._again.popleft()
            if not batch.forsaken:
                return batch
        jobs: list[Job] = []
        rows = size = 0
        while self._waiting:
            job = self._waiting[0]
            if job.answer.done():
                self._take()
                continue
            if jobs and not self._fits(jobs[0], job, rows, size):
                break
            jobs.append(self._take())
            rows += job.rows
            size += job.size
        return Batch(jobs, rows) if jobs else None

    def _take(self) -> Job:
        job = self._waiting.popleft()
        self._rows_waiting -= job.rows
        return job

    def _fits(self, first: Job, job: Job, rows: int, size: int) -> bool:
        if not self._batched or rows + job.rows > self._max_rows or size + job.size > _MAX_BYTES:
            return False
        return all(
            ours.shape[1:] == theirs.shape[1:]
            for ours, theirs in zip(first.tensors, job.tensors, strict=True)
        )

    def _sweep_at(self, deadline: float) -> None:
        if self._sweep is not None:
            self._sweep.cancel()
        self._sweep = self._loop.call_at(deadline, self._expire)

    def _expire(self) -> None:
        """Tell the jobs whose deadline has passed, and wake again for the next one."""
        self._sweep = None
        now = self._loop.time()
        waiting = [*self._waiting]
        for batch in (*self._again, *self._out):
            waiting += batch.jobs
        for job in waiting:
            if job.deadline <= now and not job.answer.done():
                job.answer.set_exception(DeadlineExceeded("no answer within the deadline"))
        self._tidy()
        deadlines = [job.deadline for job in waiting if not job.answer.done()]
        if deadlines:
            self._sweep_at(min(deadlines))

    def _tidy(self) -> None:
        """Forget, once for all clients that left together, what nobody waits for."""
        self._tidying = False
        self._forget_done()
        if self._forsaking is None:
            self._drop_forsaken()

    def _forget_done(self) -> None:
        self._waiting = deque(job for job in self._waiting if not job.answer.done())
        self._rows_waiting = sum(job.rows for job in self._waiting)

    def _drop_forsaken(self) -> None:
        """Drop what nobody waits for and has been out for long; look at the rest again later.

        Deadlines are the clients' to choose: a link must not break for each that is short.
        """
        self._forsaking = None
        left_before = perf_counter() - _GRACE_S
        forsaken = [(batch, carrier) for batch, carrier in self._out.items() if batch.forsaken]
        for batch, carrier in forsaken:
            if batch.left_at <= left_before:
                carrier.drop()
            elif self._forsaking is None:
                self._forsaking = self._loop.call_later(_GRACE_S, self._drop_forsaken)


def _size(tensor: NDArray[Any]) -> int:
    """About how many bytes the elements of a tensor have."""
    if tensor.dtype.kind == "O":
        return sum(map(len, tensor.ravel()))
    return tensor.nbytes


def _ignore(rows: int) -> None:
    """Do nothing with the rows of a batch."""


def _nothing() -> None:
    """Do nothing about a second try."""


def _disregard(jobs: int, seconds: float) -> None:
    """Do nothing with a batch that came back."""
