"""One inference request on its way through the gateway."""

from __future__ import annotations

from time import perf_counter

from configs.errors import InternalError, WeirError
from registry.records import Role
from serve.edge.tensors import InferRequest
from serve.models.frames import Tensors
from serve.recorder.recorder import ArmRecorder
from serve.served import ServedVersion
from serve.shadow import Copy, ShadowQueue, Target
from serve.traces import Trace


class Exchange:
    """A routed request: run it, then, once its answer has left, let it be recorded."""

    __slots__ = (
        "_arm",
        "_draw",
        "_outputs",
        "_request",
        "_shadow",
        "_started",
        "_trace",
        "_version",
        "prediction_id",
        "role",
    )

    def __init__(
        self,
        version: ServedVersion,
        role: Role,
        shadow: Target | None,
        prediction_id: str,
        draw: int,
        trace: Trace | None,
    ) -> None:
        self.prediction_id = prediction_id
        self.role = role
        self._started = perf_counter()
        self._version = version
        self._shadow = shadow
        self._draw = draw
        self._arm: ArmRecorder = version.arm(role)
        self._trace = trace.routed(self._arm.origin, prediction_id) if trace is not None else None
        self._request: InferRequest | None = None
        self._outputs: Tensors = ()

    @property
    def version(self) -> int:
        """The number of the version that answers."""
        return self._version.version.number

    async def run(self, body: bytes, deadline: float) -> bytes:
        """Give the answer's body; `deadline` is a reading of the loop's clock."""
        version = self._version
        request = version.codec.parse(body)
        wire = self._trace.wire if self._trace is not None else None
        self._outputs = await version.batcher.submit(request.inputs, request.rows, deadline, wire)
        self._request = request
        return version.codec.render(request, self._outputs)

    def answered(self, shadows: ShadowQueue) -> None:
        """Record an answer that has left, and offer the request to the shadow version."""
        request = self._request
        if request is None:
            raise InternalError("an exchange was answered before it ran")
        self._arm.answered(perf_counter() - self._started)
        self._arm.sample(
            self._draw,
            self.prediction_id,
            request.rows,
            (request.inputs, self._outputs),
            request.groups,
        )
        if self._shadow is not None:
            copy = Copy(
                self.prediction_id,
                self._draw,
                request.rows,
                request.inputs,
                request.groups,
                self._trace,
            )
            shadows.offer(self._shadow, copy)
        if self._trace is not None:
            self._trace.end()

    def failed(self, error: WeirError) -> None:
        """Record that the request got an error instead of an answer."""
        self._arm.failed(perf_counter() - self._started, error.code)
        if self._trace is not None:
            self._trace.end(error.status, error.code)
