"""Requests that wait go together: while one batch is out, the next gathers.

Nothing is delayed on purpose: a request that finds a free link leaves at once.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable
from time import perf_counter

from configs.errors import ClientGone, ModelFailed, Overloaded, Unavailable, WeirError
from serve.models.away import Away
from serve.models.batch import Answer, Batch, Carrier, Job, tell
from serve.models.caps import Caps, Room
from serve.models.curve import Curve
from serve.models.expiry import Expiry
from serve.models.frames import Tensors
from serve.models.waiting import MAX_BYTES, Bucket, Waiting

_MANY = 1 << 31


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
        self._queue_max_rows = queue_max_rows
        self._jobs_max = jobs_max
        self._waiting = Waiting(batched=batched)
        self._away = Away()
        self._caps = Caps(max_rows)
        self._expiry = Expiry(self._waiting, self._away)
        self._free: deque[Carrier] = deque()
        self._pumping = False
        self._closed: WeirError | None = None
        self.jobs_ran = 0
        self.rows_ran = 0
        self.batches_ran = 0
        self.seconds_queued = 0.0
        self.seconds_ran = 0.0
        self.on_batch: Callable[[int], None] = _ignore
        self.on_retry: Callable[[], None] = _nothing
        self.on_ran: Callable[[int, float], None] = _disregard

    @property
    def idle(self) -> bool:
        """Whether nothing waits and nothing is out."""
        return not (self._waiting.jobs or self._away)

    @property
    def in_flight(self) -> int:
        """How many jobs wait or are out."""
        return self._waiting.jobs + self._away.jobs

    @property
    def carriers(self) -> int:
        """How many batches can be out at once."""
        return len(self._free) + len(self._away.out)

    def learn(self, curve: Curve) -> None:
        """Take in how long the version's runs take, as a replica of it has measured."""
        self._caps.learn(curve)

    def submit(
        self, tensors: Tensors, rows: int, deadline: float, trace: str | None = None
    ) -> asyncio.Future[Tensors]:
        """Queue a request as `enqueue` does, and give the future of its answer."""
        answer: asyncio.Future[Tensors] = self._loop.create_future()
        self.enqueue(answer, tensors, rows, deadline, trace)
        return answer

    def enqueue(
        self,
        answer: Answer,
        tensors: Tensors,
        rows: int,
        deadline: float,
        trace: str | None = None,
        elsewhere: bool = False,
    ) -> None:
        """Queue a request; `Unavailable` at once when too much waits or is out already.

        One that can be answered `elsewhere` is told so when no replica is left, and waits for none.
        """
        if self._closed is not None:
            raise type(self._closed)(self._closed.message)
        waiting = self._waiting
        if waiting.rows and waiting.rows + rows > self._queue_max_rows:
            raise Unavailable(f"{waiting.rows} rows are waiting already; try again")
        if waiting.jobs + self._away.jobs >= self._jobs_max:
            raise Overloaded(f"{self.in_flight} requests are in flight already; try again")
        waiting.add(Job(tensors, rows, deadline, answer, trace, perf_counter(), elsewhere))
        if self._free and not self._pumping:
            self._pump_soon()
        if deadline < self._expiry.earliest:
            self._expiry.watch(deadline)

    def give_up(self, answer: Answer) -> None:
        """Let go of a request whose client has left: it gets `ClientGone`, and never starts.

        Its rows make room at once. If it is out already, and nobody else waits for its batch, the
        batch is dropped unless it comes back soon.
        """
        if not answer.done():
            answer.set_exception(ClientGone("the client left before it got its answer"))
        self._expiry.forget_soon()

    def free(self, carrier: Carrier) -> None:
        """Offer a carrier that can take a batch."""
        self._free.append(carrier)
        if self._waiting.jobs or self._away.again:
            self._pump()

    def withdraw(self, carrier: Carrier) -> None:
        """Take back a carrier that can no longer carry; no matter if it was not offered."""
        if carrier in self._free:
            self._free.remove(carrier)

    def answered(self, batch: Batch, answer: Tensors, carrier: Carrier | None = None) -> None:
        """Hand out the answer to a batch; one that is not row for row is nobody's.

        A `carrier` that is free again leaves with what waits before answers are written.
        """
        waited_for = self._came_back(batch, ran=True)
        try:
            if carrier is not None:
                self.free(carrier)
        finally:  # Whatever becomes of the next batch, this one is answered.
            if waited_for and _row_for_row(batch, answer):
                batch.resolve(answer)
            elif waited_for:
                self._refuse(batch, ModelFailed("the model does not answer row by row"))

    def failed(self, batch: Batch, error: WeirError) -> None:
        """Reject a job that the model cannot run; jobs of a batch are tried alone first.

        One caller's rows must not cost the others their answer. A model that is not there now is
        so for all of them: what waited for it once does not wait again.
        """
        if self._came_back(batch, ran=len(batch.jobs) == 1):
            self._refuse(batch, error)

    def lost(self, batch: Batch, error: WeirError | None = None) -> None:
        """Send a batch whose link broke once more: inference is pure; a second loss is final.

        An `error` says why it is not to be sent again.
        """
        if not self._came_back(batch, ran=False) or batch.forsaken:
            return
        if error is None and batch.tries > 1:
            error = Unavailable("the version's replica was lost twice; try again")
        if error is not None:
            batch.reject(error)
            return
        self.on_retry()
        self._away.go_again(batch)
        self._pump()

    def stranded(self) -> None:
        """Let go of what can be answered elsewhere: no replica is left, and one takes time."""
        again = [job for batch in self._away.again for job in batch.jobs]
        for job in [*self._waiting, *again]:
            if job.elsewhere:
                tell(job, Unavailable("the version's replicas are lost; another version answers"))
        self._expiry.forget_soon()

    def close(self, error: WeirError) -> None:
        """Reject everything that still waits, and whatever comes later."""
        self._closed = error
        for batch in [*self._away]:
            batch.reject(error)
        for job in [*self._waiting]:
            tell(job, error)
        self._away.forget()
        self._waiting.clear()
        self._expiry.close()

    def _refuse(self, batch: Batch, error: WeirError) -> None:
        if len(batch.jobs) == 1 or error.code == Unavailable.code:
            batch.reject(error)
            return
        for job in batch.jobs:
            self._away.go_again(Batch([job], job.rows))
        self._pump_soon()

    def _pump_soon(self) -> None:
        """Let the requests that were read together leave together."""
        if not self._pumping:
            self._pumping = True
            self._loop.call_soon(self._pump)

    def _pump(self) -> None:
        self._pumping = False
        away = self._away
        carriers = len(self._free) + len(away.out)
        while self._free:
            batch = (away.next_again() if away.again else None) or self._gathered(carriers)
            if batch is None:
                return
            carriers -= 1
            batch.tries += 1
            self.on_batch(batch.rows)
            carrier = self._next_carrier()
            away.leaves(batch, carrier)
            batch.left_at = perf_counter()
            carrier.carry(batch)

    def _next_carrier(self) -> Carrier:
        """Take the carrier that has been free for longest, so that all are used alike."""
        return self._free.popleft()

    def _gathered(self, carriers: int) -> Batch | None:
        """Make a batch of the oldest job that waits and of what fits to it; None if nothing does.

        What waits is shared by so many carriers.
        """
        waiting = self._waiting
        while (bucket := waiting.oldest()) is not None:
            if len(bucket.jobs) > 1:
                batch = self._gathered_of(bucket, carriers)
            else:
                job = waiting.take_first(bucket)
                batch = Batch([job] if not job.answer.done() else [], job.rows)
            if batch.jobs:
                return batch
        return None

    def _gathered_of(self, bucket: Bucket, carriers: int) -> Batch:
        """Make a batch of the oldest jobs of a bucket; mostly all go, and unseen."""
        waiting, caps = self._waiting, self._caps
        rows = caps.rows(waiting.rows, carriers)
        now = self._loop.time()
        batch = None
        if now + caps.longest_s <= self._expiry.earliest:
            batch = waiting.take_all(bucket, rows)
        return batch or waiting.take(bucket, Room(rows, MAX_BYTES, caps, now).takes)

    def _came_back(self, batch: Batch, *, ran: bool) -> bool:
        """Take a batch off the list of what is out; whether it was there."""
        if batch not in self._away.out:
            return False
        if ran:
            jobs, left_at = batch.jobs, batch.left_at
            count = len(jobs)
            seconds = perf_counter() - left_at
            self.jobs_ran += count
            self.rows_ran += batch.rows
            self.batches_ran += 1
            self.seconds_ran += seconds * count
            self.seconds_queued += count * left_at - sum([job.queued_at for job in jobs])
            self._caps.ran(batch.rows, seconds)
            self.on_ran(count, seconds)
        self._away.came_back(batch)
        return True


def _row_for_row(batch: Batch, answer: Tensors) -> bool:
    if len(batch.jobs) == 1:
        return True
    return all(tensor.shape[:1] == (batch.rows,) for tensor in answer)


def _ignore(rows: int) -> None:
    """Do nothing with the rows of a batch."""


def _nothing() -> None:
    """Do nothing about a second try."""


def _disregard(jobs: int, seconds: float) -> None:
    """Do nothing with a batch that came back."""
