"""Shadow traffic: a copy of a request, after its answer has left, for a version nobody hears."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from configs.errors import ModelFailed, WeirError
from configs.settings import Shadow as ShadowSettings
from monitors.labels.assigned import Assigned
from monitors.telemetry import names
from serve.models.batcher import Batcher
from serve.models.frames import Tensors
from serve.models.waiting import size_of
from serve.recorder.counts import Counts
from serve.recorder.recorder import ArmRecorder
from serve.traces import Trace, Tracer


@dataclass(frozen=True, slots=True)
class Copy:
    """What a shadow version gets of a request; `draw` decides whether the recorder keeps it.

    `compare` is given the shadow's answer where it is compared with the one that has left, and
    gives what its row belongs to if a label will tell of both; one without outputs, which agrees
    with nothing, if the version failed.
    """

    prediction_id: str
    draw: int
    rows: int
    inputs: Tensors
    groups: Mapping[str, NDArray[np.object_]]
    trace: Trace | None
    request_id: str | None = None
    compare: Callable[[Tensors], Assigned | None] | None = None


@dataclass(frozen=True, slots=True)
class Target:
    """The shadow version: where its batches go, who records its answers, who goes before it.

    `busy` says that those who wait for an answer need all there is.
    """

    batcher: Batcher
    arm: ArmRecorder
    busy: Callable[[], bool]


class _Waiting(NamedTuple):
    """A copy that waits, and how many bytes its inputs hold."""

    target: Target
    copy: Copy
    size: int


class ShadowQueue:
    """Holds copies for a moment and sends them in blocks; what does not fit is dropped."""

    def __init__(
        self, settings: ShadowSettings, counts: Counts, tracer: Tracer, deadline_s: float
    ) -> None:
        self._loop = asyncio.get_running_loop()
        self._settings = settings
        self._counts = counts
        self._tracer = tracer
        self._deadline_s = deadline_s
        self._waiting: deque[_Waiting] = deque()
        self._rows = self._bytes = 0
        self._timer: asyncio.TimerHandle | None = None

    def offer(self, target: Target, copy: Copy) -> None:
        """Queue a copy, or drop it when the model is busy, or too much waits or runs already."""
        settings = self._settings
        if target.busy() or self._rows + copy.rows > settings.queue_max_rows:
            self._count(target, "dropped")
            return
        size = sum(map(size_of, copy.inputs))
        if self._bytes + size > settings.queue_max_bytes:
            self._count(target, "dropped")
            return
        self._rows += copy.rows
        self._bytes += size
        self._waiting.append(_Waiting(target, copy, size))
        if self._timer is None:
            self._timer = self._loop.call_later(self._settings.flush_s, self._flush)

    def close(self) -> None:
        """Forget what waits: nobody waits for it."""
        if self._timer is not None:
            self._timer.cancel()
        while self._waiting:
            self._count(self._waiting.popleft().target, "dropped")

    def _flush(self) -> None:
        self._timer = None
        deadline = self._loop.time() + self._deadline_s
        while self._waiting:
            self._send(self._waiting.popleft(), deadline)

    def _send(self, waiting: _Waiting, deadline: float) -> None:
        target, copy, size = waiting
        started = self._loop.time()
        span = self._tracer.shadow(copy.trace, target.arm.origin, copy.prediction_id)

        def done(answer: asyncio.Future[Tensors]) -> None:
            self._make_room(copy.rows, size)
            error = answer.exception()
            if error is None:
                self._record(target, copy, answer.result(), self._loop.time() - started)
            else:
                self._failed(target, copy, error, self._loop.time() - started)
            if span is not None:
                span.end(error)

        try:
            run = target.batcher.submit(
                copy.inputs, copy.rows, deadline, span.wire if span is not None else None
            )
        except WeirError as error:
            self._make_room(copy.rows, size)
            self._failed(target, copy, error, 0.0)
            if span is not None:
                span.end(error)
        else:
            run.add_done_callback(done)

    def _make_room(self, rows: int, size: int) -> None:
        self._rows -= rows
        self._bytes -= size

    def _record(self, target: Target, copy: Copy, outputs: Tensors, seconds: float) -> None:
        self._count(target, "sent")
        target.arm.answered(seconds)
        assigned = copy.compare(outputs) if copy.compare is not None else None
        # A sample holds the answer until it is shipped, and with it the frame that it came in.
        if sum(map(size_of, outputs)) > self._settings.queue_max_bytes:
            target.arm.lost(copy.draw, copy.rows)
            return
        target.arm.sample(
            copy.draw,
            copy.prediction_id,
            copy.rows,
            (copy.inputs, outputs),
            copy.groups,
            copy.request_id,
            assigned,
        )

    def _failed(self, target: Target, copy: Copy, error: BaseException, seconds: float) -> None:
        self._count(target, "failed")
        target.arm.failed(seconds, _code(error))
        # One that was not sent or not waited for says nothing of the version.
        if isinstance(error, ModelFailed) and copy.compare is not None:
            copy.compare(())

    def _count(self, target: Target, outcome: str) -> None:
        origin = target.arm.origin
        self._counts.add(names.SHADOW_REQUESTS, origin.model, str(origin.version), outcome)


def _code(error: BaseException) -> str:
    return error.code if isinstance(error, WeirError) else WeirError.code
