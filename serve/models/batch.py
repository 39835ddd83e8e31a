"""Requests of one version that run as one."""

from __future__ import annotations

from dataclasses import dataclass, field
from time import perf_counter
from typing import Protocol

import numpy as np

from configs.errors import WeirError
from serve.models.frames import Tensors


class Answer(Protocol):
    """**Protocol:** where the answer to a job goes, once; an `asyncio.Future` is one.

    It is told from within the loop, and must neither raise nor wait.
    """

    def done(self) -> bool:
        """Whether it has been told, or nobody waits any more."""

    def set_result(self, result: Tensors, /) -> None:
        """Take the answer: the job's own rows of each output."""

    def set_exception(self, exception: WeirError, /) -> None:
        """Take the reason why there is no answer."""


@dataclass(slots=True, eq=False)
class Job:
    """One request's tensors on their way to a version, and where its answer goes.

    `deadline` is a reading of the loop's clock, `trace` the trace context of a request that is
    traced, in the words of `serve.traces`, `size` about how many bytes the tensors have.
    """

    tensors: Tensors
    rows: int
    deadline: float
    answer: Answer
    trace: str | None = None
    size: int = 0
    queued_at: float = field(default_factory=perf_counter)


@dataclass(slots=True, eq=False)
class Batch:
    """Jobs that run as one; `tries` counts how often it was sent, `left_at` is when it last was."""

    jobs: list[Job]
    rows: int
    tries: int = 0
    left_at: float = 0.0

    def tensors(self) -> Tensors:
        """Give the jobs' tensors, row under row."""
        if len(self.jobs) == 1:
            return self.jobs[0].tensors
        columns = zip(*(job.tensors for job in self.jobs), strict=True)
        return tuple(np.concatenate(column) for column in columns)

    @property
    def forsaken(self) -> bool:
        """Whether nobody waits for any answer."""
        return all(job.answer.done() for job in self.jobs)

    def traces(self) -> tuple[str, ...]:
        """Give the trace contexts of the jobs that are traced."""
        return tuple(job.trace for job in self.jobs if job.trace is not None)

    def resolve(self, answer: Tensors) -> None:
        """Hand every job its own rows."""
        if len(self.jobs) == 1:
            _settle(self.jobs[0], answer)
            return
        start = 0
        for job in self.jobs:
            end = start + job.rows
            _settle(job, tuple(tensor[start:end] for tensor in answer))
            start = end

    def reject(self, error: WeirError) -> None:
        """Tell every job why there is no answer."""
        for job in self.jobs:
            if not job.answer.done():
                job.answer.set_exception(error)


class Carrier(Protocol):
    """**Protocol:** what takes a batch to a version replica; free for one batch at a time."""

    def carry(self, batch: Batch) -> None:
        """Send the batch; then `answered`, `failed` or `lost` is called on the batcher."""

    def drop(self) -> None:
        """Give up the batch that is out: nobody waits for it any more."""


def _settle(job: Job, answer: Tensors) -> None:
    if not job.answer.done():
        job.answer.set_result(answer)
