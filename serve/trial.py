"""A request to a version on trial: if that fails, the stable version answers, in time."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from time import perf_counter

from configs.errors import BadInput, ClientGone, ModelFailed, NotReady, WeirError
from registry.records import Role
from serve.exchange import Exchange
from serve.judged_exchange import PART, JudgedExchange
from serve.judging import Case
from serve.models.frames import Tensors
from serve.protocol.asked import Asked
from serve.served import ServedVersion
from serve.shadow import Target
from serve.traces import Trace


class Trial(JudgedExchange):
    """Asks the candidate or the baseline, and the stable version where that does not answer.

    The first has half of the request's time. One that fails, takes longer, cannot be reached or
    gives what is no valid output is not heard; there is no second fallback. A request that was not
    sent, as the version was away or had no room, is not counted: that says nothing of the version.
    """

    __slots__ = ("_asked", "_attempt", "_deadline")

    def __init__(
        self,
        version: ServedVersion,
        role: Role,
        shadow: Target | None,
        prediction_id: str,
        draw: int,
        trace: Trace | None,
        case: Case,
    ) -> None:
        super().__init__(version, role, shadow, prediction_id, draw, trace, case)
        self._asked: Asked | None = None
        self._attempt: Attempt | None = None
        self._deadline = 0.0

    def start(self, asked: Asked, deadline: float, tell: Callable[[Exchange], None]) -> None:
        """Send the request to the version on trial, or at once to the stable one."""
        self._deadline = deadline
        self._part_s = PART * (deadline - asyncio.get_running_loop().time())
        self._tell = tell
        version = self._version
        refusal = self._stable_refuses(asked)
        # What the stable version refuses is counted for no arm: it would not be for its own.
        self._settled = self._settled or refusal is not None
        try:
            request = version.contract.fit(asked)
        except BadInput as error:
            # What both refuse is the client's mistake; the rest is a failure.
            if refusal is not None:
                raise refusal from None
            self._see()
            self._failed_with(error)
            self._hand_over(asked, error)
            return
        if not version.links.connected:
            unreachable = f"version {version.version.number} cannot be reached"
            self._unsent(asked, NotReady(unreachable))
            return
        wire = self._trace.wire if self._trace is not None else None
        attempt = Attempt(self)
        try:
            version.batcher.enqueue(
                attempt, request.inputs, request.rows, deadline - self._part_s, wire, True
            )
        except WeirError as error:
            self._unsent(asked, error)
            return
        self._request, self._asked, self._attempt = request, asked, attempt
        self._see()

    def give_up(self) -> None:
        """Stop to work on the request: nobody waits for its answer any more."""
        if self._attempt is not None:
            self._version.batcher.give_up(self._attempt)
        else:
            super().give_up()

    def tried(self, answer: Tensors) -> None:
        """Take the answer of the version on trial."""
        self._took_s = perf_counter() - self._started
        if self._judge(answer):
            self._asked = self._attempt = None
            Exchange.set_result(self, answer)
        else:
            self._fall_back(ModelFailed("the version gave an output that is not valid"))

    def failed_to(self, error: WeirError) -> None:
        """Take the reason why the version on trial gives no answer."""
        self._failed_with(error)
        if isinstance(error, ClientGone):
            self._asked = self._attempt = None
            self.set_exception(error)
        else:
            self._fall_back(error)

    def _stable_refuses(self, asked: Asked) -> BadInput | None:
        """Give why the stable version does not take a request; the baseline takes what it takes."""
        stable = self._case.judging.stable
        if stable.version.number == self._version.version.number:
            return None
        try:
            stable.contract.fit(asked)
        except BadInput as error:
            return error
        return None

    def _unsent(self, asked: Asked, error: WeirError) -> None:
        """Have the stable version answer what was not sent, and count it for nobody."""
        self._settled = True
        self._hand_over(asked, error)

    def _fall_back(self, error: WeirError) -> None:
        """Have the stable version answer, or say why it cannot."""
        asked, self._asked, self._attempt = self._asked, None, None
        try:
            if asked is None:
                raise error
            self._hand_over(asked, error)
        except WeirError as other:
            self.set_exception(other)

    def _hand_over(self, asked: Asked, error: WeirError) -> None:
        """Send the request to the stable version, which answers for itself from now on.

        One that only the failed version understands has its error.
        """
        stable = self._case.judging.stable
        try:
            request = stable.contract.fit(asked)
        except BadInput:
            raise error from None
        failed, answers = self._arm, stable.arm(Role.STABLE)
        failed.failed(perf_counter() - self._started, error.code)
        self._version, self._arm, self._request = stable, answers, request
        self._started = perf_counter()
        trace = self._trace
        if trace is not None:
            trace.fell_back(failed.origin, failed.role, error)
            self._trace = trace.routed(answers.origin, answers.role, self.prediction_id)
        wire = self._trace.wire if self._trace is not None else None
        stable.batcher.enqueue(self, request.inputs, request.rows, self._deadline, wire)


class Attempt:
    """Where the answer of a version on trial goes: what comes after its time is nobody's."""

    __slots__ = ("_trial",)

    def __init__(self, trial: Trial) -> None:
        self._trial: Trial | None = trial

    def done(self) -> bool:
        """Whether there is an outcome."""
        return self._trial is None

    def set_result(self, answer: Tensors, /) -> None:
        """Pass on the answer."""
        trial, self._trial = self._trial, None
        if trial is not None:
            trial.tried(answer)

    def set_exception(self, error: WeirError, /) -> None:
        """Pass on why there is none."""
        trial, self._trial = self._trial, None
        if trial is not None:
            trial.failed_to(error)
