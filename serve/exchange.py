"""One inference request on its way through the gateway."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from time import perf_counter

from configs.errors import InternalError, WeirError
from registry.records import Role
from serve.case import Case
from serve.models.batch import Answer
from serve.models.frames import Tensors
from serve.protocol.asked import Asked
from serve.protocol.contract import InferRequest, OutputTensor
from serve.recorder.recorder import ArmRecorder
from serve.served import ServedVersion
from serve.shadow import Copy, ShadowQueue, Target
from serve.traces import Trace
from serve.trial import Trial


class Exchange:
    """A routed request: run it, then, once its answer has left, let it be recorded.

    On a judged route it is a `case` too: what becomes of it is counted.
    """

    __slots__ = (
        "_answer",
        "_arm",
        "_case",
        "_done",
        "_draw",
        "_error",
        "_request",
        "_shadow",
        "_started",
        "_tell",
        "_trace",
        "_trial",
        "_version",
        "prediction_id",
    )

    def __init__(
        self,
        version: ServedVersion,
        role: Role,
        shadow: Target | None,
        prediction_id: str,
        draw: int,
        trace: Trace | None,
        case: Case | None,
    ) -> None:
        self.prediction_id = prediction_id
        self._started = perf_counter()
        self._version = version
        self._shadow = shadow
        self._draw = draw
        self._case = case
        self._trial: Trial | None = None
        arm: ArmRecorder = version.arm(role)
        self._arm = arm
        self._trace = trace and trace.routed(arm.origin, arm.role, prediction_id)
        self._request: InferRequest | None = None
        self._answer: Tensors = ()
        self._error: WeirError | None = None
        self._done = False
        self._tell: Callable[[Exchange], None] = _nobody

    @property
    def version(self) -> str:
        """The number of the version that answers."""
        return self._arm.version

    @property
    def arm(self) -> str:
        """The role in which it does."""
        return self._arm.role

    @property
    def model(self) -> str:
        """The name of the model."""
        return self._arm.origin.model

    @property
    def request_id(self) -> str | None:
        """The id that the client gave its request."""
        return self._request.id if self._request is not None else None

    def said(self) -> dict[str, str]:
        """Give the parameters of the answer: for clients that cannot see its headers."""
        return {"weir_prediction_id": self.prediction_id, "weir_arm": self._arm.role}

    def start(self, asked: Asked, deadline: float, tell: Callable[[Exchange], None]) -> None:
        """Send the request to its version; `tell` is called once, when there is an outcome.

        `deadline` is a reading of the loop's clock. What is wrong with the request is raised here.
        """
        case = self._case
        if case is not None and case.on_trial:
            self._tell = tell
            trial = self._trial = Trial(case, asked, deadline)
            trial.start(self)
            return
        version = self._version
        request = self._request = version.contract.fit(asked)
        self._tell = tell
        wire = self._trace.wire if self._trace is not None else None
        version.batcher.enqueue(self, request.inputs, request.rows, deadline, wire)
        if case is not None:
            case.begin(deadline)
            case.sent()

    async def run(self, asked: Asked, deadline: float) -> Sequence[OutputTensor]:
        """Send the request to its version, and wait for the outputs that are wanted."""
        finished: asyncio.Future[None] = asyncio.get_running_loop().create_future()

        def told(_exchange: Exchange) -> None:
            if not finished.done():
                finished.set_result(None)

        self.start(asked, deadline, told)
        await finished
        return self.outputs()

    def outputs(self) -> Sequence[OutputTensor]:
        """Give the outputs that are wanted, or raise why there are none."""
        if self._error is not None:
            raise self._error
        if self._request is None:
            raise InternalError("an exchange was asked for its outputs before it began")
        return self._version.contract.outputs(self._request, self._answer)

    def give_up(self) -> None:
        """Stop to work on the request: nobody waits for its answer any more."""
        trial = self._trial
        self._version.batcher.give_up(self if trial is None else trial)

    # What a trial calls

    def send(
        self, request: InferRequest, answer: Answer, deadline: float, elsewhere: bool = False
    ) -> None:
        """Send a request to the version; `answer` is told what comes of it.

        One that can be answered `elsewhere` waits for no replica where none is left.
        """
        self._request = request
        wire = self._trace.wire if self._trace is not None else None
        batcher = self._version.batcher
        batcher.enqueue(answer, request.inputs, request.rows, deadline, wire, elsewhere)

    def fall_back(
        self, stable: ServedVersion, request: InferRequest, error: WeirError, deadline: float
    ) -> None:
        """Record that the version has failed, and send a request to the stable one.

        That answers for itself from now on.
        """
        failed, answers = self._arm, stable.arm(Role.STABLE)
        failed.failed(perf_counter() - self._started, error.code)
        self._version, self._arm, self._trial = stable, answers, None
        self._started = perf_counter()
        trace = self._trace
        if trace is not None:
            trace.fell_back(failed.origin, failed.role, error)
            self._trace = trace.routed(answers.origin, answers.role, self.prediction_id)
        self.send(request, self, deadline)

    # What the batcher calls

    def done(self) -> bool:
        """Whether there is an outcome."""
        return self._done

    def set_result(self, answer: Tensors, /) -> None:
        """Take the model's answer."""
        if self._case is not None:
            self._case.came()
        self._done = True
        self._answer = answer
        tell, self._tell = self._tell, _nobody  # A request must be no cycle of references.
        tell(self)

    def set_exception(self, error: WeirError, /) -> None:
        """Take the reason why there is no answer."""
        self._done = True
        self._error = error
        tell, self._tell = self._tell, _nobody
        tell(self)

    def answered(self, shadows: ShadowQueue) -> None:
        """Record an answer that has left, and offer the request to the shadow version."""
        request, arm, case = self._request, self._arm, self._case
        if request is None:
            raise InternalError("an exchange was answered before it ran")
        arm.answered(perf_counter() - self._started)
        arm.sample(
            self._draw,
            self.prediction_id,
            request.rows,
            (request.inputs, self._answer),
            request.groups,
            request.id,
            case.assigned() if case is not None else None,
        )
        if self._shadow is not None:
            copy = Copy(
                self.prediction_id,
                self._draw,
                request.rows,
                request.inputs,
                request.groups,
                self._trace,
                request.id,
                case.pairs(self._draw, request, self._answer) if case is not None else None,
            )
            shadows.offer(self._shadow, copy)
        if self._trace is not None:
            self._trace.end()
        if case is not None:
            case.answered(self._answer, request.rows)

    def failed(self, error: WeirError) -> None:
        """Record that the request got an error instead of an answer."""
        self._arm.failed(perf_counter() - self._started, error.code)
        if self._trace is not None:
            self._trace.end(error)
        if self._case is not None:
            self._case.failed(error)


def _nobody(exchange: Exchange) -> None:
    """Tell nobody of an outcome."""
