"""What nobody waits for any more: deadlines that pass, clients that leave, batches that hang."""

from __future__ import annotations

import asyncio
from itertools import chain
from math import inf
from time import perf_counter

from configs.errors import DeadlineExceeded
from serve.models.away import Away
from serve.models.batch import tell
from serve.models.waiting import Waiting

_GRACE_S = 0.5
"""How long a batch may be out though nobody waits for it."""


class Expiry:
    """One timer for all deadlines, set to the next; `earliest` is when it rings."""

    def __init__(self, waiting: Waiting, away: Away) -> None:
        self._loop = asyncio.get_running_loop()
        self._waiting = waiting
        self._away = away
        self._sweep: asyncio.TimerHandle | None = None
        self._forsaking: asyncio.TimerHandle | None = None
        self._tidying = False
        self.earliest = inf

    def watch(self, deadline: float) -> None:
        """Ring at a deadline that is before the others."""
        if self._sweep is not None:
            self._sweep.cancel()
        self.earliest = deadline
        self._sweep = self._loop.call_at(deadline, self._expire)

    def forget_soon(self) -> None:
        """Forget, once for all clients that left together, what nobody waits for."""
        if not self._tidying:
            self._tidying = True
            self._loop.call_soon(self._tidy)

    def close(self) -> None:
        """Stop the timers."""
        self.earliest = inf
        for timer in (self._sweep, self._forsaking):
            if timer is not None:
                timer.cancel()

    def _expire(self) -> None:
        """Tell the jobs whose deadline has passed, and wake again for the next one."""
        self._sweep = None
        self.earliest = inf
        now = self._loop.time()
        jobs = [*chain(self._waiting, *(batch.jobs for batch in self._away))]
        for job in jobs:
            if job.deadline <= now:
                tell(job, DeadlineExceeded("no answer within the deadline"))
        self._tidy()
        earliest = min((job.deadline for job in jobs if not job.answer.done()), default=inf)
        if earliest < self.earliest:
            self.watch(earliest)

    def _tidy(self) -> None:
        self._tidying = False
        self._waiting.forget_done()
        if self._forsaking is None:
            self._drop_forsaken()

    def _drop_forsaken(self) -> None:
        """Drop what nobody waits for and has been out for long; look at the rest again later.

        Deadlines are the clients' to choose: a link must not break for each that is short.
        """
        self._forsaking = None
        left_before = perf_counter() - _GRACE_S
        forsaken = [(batch, by) for batch, by in self._away.out.items() if batch.forsaken]
        for batch, carrier in forsaken:
            if batch.left_at <= left_before:
                carrier.drop()
            elif self._forsaking is None:
                self._forsaking = self._loop.call_later(_GRACE_S, self._drop_forsaken)
