"""One inference request on its way through the gateway."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from time import perf_counter

from configs.errors import ClientGone, InternalError, WeirError
from registry.records import Role
from serve.models.frames import Tensors
from serve.protocol.asked import Asked
from serve.protocol.contract import InferRequest, OutputTensor
from serve.recorder.recorder import ArmRecorder
from serve.served import ServedVersion
from serve.shadow import Copy, ShadowQueue, Target
from serve.traces import Trace


class Exchange:
    """A routed request: run it, then, once its answer has left, let it be recorded."""

    __slots__ = (
        "_answer",
        "_arm",
        "_draw",
        "_gone",
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
        self._answer: asyncio.Future[Tensors] | None = None
        self._gone = False

    @property
    def version(self) -> int:
        """The number of the version that answers."""
        return self._version.version.number

    @property
    def model(self) -> str:
        """The name of the model."""
        return self._version.version.model

    def said(self) -> dict[str, str]:
        """Give the parameters of the answer: for clients that cannot see its headers."""
        return {"weir_prediction_id": self.prediction_id, "weir_arm": self.role.value}

    async def run(self, asked: Asked, deadline: float) -> Sequence[OutputTensor]:
        """Give the outputs that are wanted; `deadline` is a reading of the loop's clock.

        Raises `ClientGone` when the request was given up while it waited.
        """
        version = self._version
        request = version.contract.fit(asked)
        wire = self._trace.wire if self._trace is not None else None
        self._answer = version.batcher.submit(request.inputs, request.rows, deadline, wire)
        if self._gone:
            self._answer.cancel()
        try:
            self._outputs = await self._answer
        except asyncio.CancelledError:
            if self._gone:
                raise ClientGone("the client left before its answer was there") from None
            raise
        self._request = request
        return version.contract.outputs(request, self._outputs)

    def give_up(self) -> None:
        """Stop to work on the request: nobody waits for its answer any more."""
        self._gone = True
        if self._answer is not None:
            self._answer.cancel()

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
            self._trace.end(error)
