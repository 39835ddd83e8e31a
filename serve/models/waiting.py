"""The requests that wait for one version, in a bucket for each shape of rows."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from math import prod
from typing import Any

from numpy.typing import NDArray

from serve.models.batch import Batch, Job
from serve.models.frames import Tensors

MAX_BYTES = 64 * 2**20
"""How many bytes of tensors run together at most; copying them holds up everybody."""

_EMPTY_KEPT = 16
"""Callers choose shapes, so that not every empty bucket can be kept."""
Shape = tuple[Any, ...]
Takes = Callable[[int, int, float], bool]
"""Whether a job of so many rows and bytes and such a deadline joins a batch."""


class Bucket:
    """Jobs whose rows can be put under one another, oldest first.

    `row_bytes` is the size of a row, None where every job has its own; up to `surely_rows` fit into
    a batch whatever they are.
    """

    __slots__ = ("jobs", "row_bytes", "rows", "shape", "surely_rows")

    def __init__(self, shape: Shape, tensors: Tensors) -> None:
        self.shape = shape
        self.jobs: deque[Job] = deque()
        self.rows = 0
        self.row_bytes: int | None = None
        self.surely_rows = -1
        if all(tensor.dtype.kind != "O" for tensor in tensors):
            self.row_bytes = sum(prod(t.shape[1:]) * t.itemsize for t in tensors)
            self.surely_rows = MAX_BYTES // max(self.row_bytes, 1)

    def size(self, job: Job) -> int:
        """Give about how many bytes the tensors of a job have."""
        if self.row_bytes is not None:
            return self.row_bytes * job.rows
        return sum(map(size_of, job.tensors))


class Waiting:
    """All that waits; `jobs` and `rows` are how many, those that nobody waits for included."""

    __slots__ = ("_batched", "_buckets", "jobs", "rows")

    def __init__(self, *, batched: bool) -> None:
        self._batched = batched
        self._buckets: dict[Shape, Bucket] = {}
        self.jobs = 0
        self.rows = 0

    def __iter__(self) -> Iterator[Job]:
        for bucket in self._buckets.values():
            yield from bucket.jobs

    def add(self, job: Job) -> None:
        """Let a job wait, behind those of its shape."""
        tensors = job.tensors
        if len(tensors) == 1:
            shape: Shape = tensors[0].shape[1:]
        else:
            shape = tuple([tensor.shape[1:] for tensor in tensors])
        bucket = self._buckets.get(shape)
        if bucket is None:
            bucket = self._buckets[shape] = Bucket(shape, tensors)
        bucket.jobs.append(job)
        bucket.rows += job.rows
        self.jobs += 1
        self.rows += job.rows

    def oldest(self) -> Bucket | None:
        """Give the bucket of the job that came first, so that no shape waits for ever."""
        if not self.jobs:
            return None
        if len(self._buckets) == 1:
            return next(iter(self._buckets.values()))
        return min((bucket for bucket in self._buckets.values() if bucket.jobs), key=_came)

    def take_all(self, bucket: Bucket, max_rows: int) -> Batch | None:
        """Make a batch of all jobs of a bucket that somebody waits for, if they surely are one."""
        rows, queue = bucket.rows, bucket.jobs
        if rows > max_rows or rows > bucket.surely_rows or not self._batched:
            return None
        count = len(queue)
        jobs = [job for job in queue if not job.answer.done()]
        queue.clear()
        self.jobs -= count
        self.rows -= rows
        bucket.rows = 0
        if len(self._buckets) > _EMPTY_KEPT:
            del self._buckets[bucket.shape]
        return Batch(jobs, rows if len(jobs) == count else _rows(jobs))

    def take(self, bucket: Bucket, takes: Takes) -> Batch:
        """Make a batch of the jobs of a bucket, oldest first, that somebody waits for.

        It ends at the first that does not join.
        """
        jobs: list[Job] = []
        while bucket.jobs:
            job = bucket.jobs[0]
            if not job.answer.done():
                if jobs and not self._batched:
                    break
                if not takes(job.rows, bucket.size(job), job.deadline):
                    break
                jobs.append(job)
            self.take_first(bucket)
        return Batch(jobs, _rows(jobs))

    def take_first(self, bucket: Bucket) -> Job:
        """Take the oldest job of a bucket."""
        job = bucket.jobs.popleft()
        bucket.rows -= job.rows
        self.jobs -= 1
        self.rows -= job.rows
        if not bucket.jobs and len(self._buckets) > _EMPTY_KEPT:
            del self._buckets[bucket.shape]
        return job

    def forget_done(self) -> None:
        """Forget the jobs that nobody waits for."""
        for bucket in self._buckets.values():
            bucket.jobs = deque(job for job in bucket.jobs if not job.answer.done())
            bucket.rows = _rows(bucket.jobs)
        if len(self._buckets) > _EMPTY_KEPT:
            self._buckets = {kept.shape: kept for kept in self._buckets.values() if kept.jobs}
        self.jobs = sum(len(bucket.jobs) for bucket in self._buckets.values())
        self.rows = sum(bucket.rows for bucket in self._buckets.values())

    def clear(self) -> None:
        """Forget all jobs."""
        self._buckets.clear()
        self.jobs = self.rows = 0


def _came(bucket: Bucket) -> float:
    return bucket.jobs[0].queued_at


def _rows(jobs: Iterable[Job]) -> int:
    return sum([job.rows for job in jobs])


def size_of(tensor: NDArray[Any]) -> int:
    """About how many bytes the elements of a tensor have."""
    if tensor.dtype.kind == "O":
        return sum(map(len, tensor.ravel()))
    return tensor.nbytes
