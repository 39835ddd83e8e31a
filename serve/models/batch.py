"""Requests of one version that run as one."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Protocol, cast

import numpy as np
from numpy.typing import NDArray

from configs.errors import WeirError
from serve.models.frames import Tensors


class Answer(Protocol):
    """**Protocol:** where the answer to a job goes, once; an `asyncio.Future` is one.

    It is told from within the loop, and must neither raise nor wait. If it raises all the same, the
    loop's exception handler hears of it and the others of its batch are told.
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
    traced, in the words of `serve.traces`, `queued_at` a reading of the performance counter. With
    `elsewhere` another version answers what this one does not.
    """

    tensors: Tensors
    rows: int
    deadline: float
    answer: Answer
    trace: str | None
    queued_at: float
    elsewhere: bool = False


@dataclass(slots=True, eq=False)
class Batch:
    """Jobs that run as one; `tries` counts how often it was sent, `left_at` is when it last was."""

    jobs: list[Job]
    rows: int
    tries: int = 0
    left_at: float = 0.0

    def tensors(self) -> Tensors:
        """Give the jobs' tensors, row under row; they have the same datatypes and inner shapes."""
        if len(self.jobs) == 1:
            return self.jobs[0].tensors
        columns = zip(*[job.tensors for job in self.jobs], strict=True)
        return tuple([_stacked(column) for column in columns])

    @property
    def forsaken(self) -> bool:
        """Whether nobody waits for any answer."""
        return all(job.answer.done() for job in self.jobs)

    def traces(self) -> tuple[str, ...]:
        """Give the trace contexts of the jobs that are traced."""
        return tuple([job.trace for job in self.jobs if job.trace is not None])

    def resolve(self, answer: Tensors) -> None:
        """Hand every job its own rows: all there are if it is alone."""
        if len(self.jobs) == 1:
            _give(self.jobs[0], answer)
            return
        for job, own in zip(self.jobs, self._parts(answer), strict=True):
            _give(job, own)

    def reject(self, error: WeirError) -> None:
        """Tell every job why there is no answer."""
        for job in self.jobs:
            tell(job, error)

    def _parts(self, answer: Tensors) -> Iterable[Tensors]:
        """Cut an answer of `rows` rows; numpy makes the views quicker when all are of one size."""
        jobs = self.jobs
        each = jobs[0].rows
        if answer and [job.rows for job in jobs].count(each) == len(jobs):
            return zip(*[t.reshape(len(jobs), each, *t.shape[1:]) for t in answer], strict=True)
        return _slices(jobs, answer)


class Carrier(Protocol):
    """**Protocol:** what takes a batch to a version replica; free for one batch at a time."""

    def carry(self, batch: Batch) -> None:
        """Send the batch; then `answered`, `failed` or `lost` is called on the batcher."""

    def drop(self) -> None:
        """Give up the batch that is out: nobody waits for it any more."""


def _give(job: Job, own: Tensors) -> None:
    try:
        if not job.answer.done():
            job.answer.set_result(own)
    except Exception as mistake:  # noqa: BLE001 - a caller's mistake must not cost the others
        _report(mistake)


def tell(job: Job, error: WeirError) -> None:
    """Tell a job why there is no answer, unless nobody waits for one."""
    try:
        if not job.answer.done():
            job.answer.set_exception(error)
    except Exception as mistake:  # noqa: BLE001 - a caller's mistake must not cost the others
        _report(mistake)


def _stacked(column: tuple[NDArray[Any], ...]) -> NDArray[Any]:
    """Put tensors under one another; joining their bytes is two to four times as quick."""
    first = column[0]
    if first.dtype.kind == "O":  # Pointers are not to be copied like numbers.
        return np.concatenate(column)
    try:
        joined = b"".join(cast("tuple[memoryview, ...]", column))
    except TypeError:  # One of them is not packed.
        return np.concatenate(column)
    rows = sum([len(tensor) for tensor in column])
    return np.frombuffer(joined, first.dtype).reshape(rows, *first.shape[1:])


def _slices(jobs: list[Job], answer: Tensors) -> Iterable[Tensors]:
    start = 0
    for job in jobs:
        end = start + job.rows
        yield tuple([tensor[start:end] for tensor in answer])
        start = end


def _report(error: Exception) -> None:
    context = {"message": "an answer could not be delivered", "exception": error}
    asyncio.get_running_loop().call_exception_handler(context)
