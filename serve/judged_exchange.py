"""A request on a judged route: what becomes of it is counted, and an arm on trial may fail."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from functools import partial
from time import perf_counter

from configs.errors import (
    BadInput,
    ClientGone,
    DeadlineExceeded,
    ModelFailed,
    NotReady,
    WeirError,
)
from registry.records import Role
from serve.exchange import Exchange
from serve.judging import Case
from serve.models.frames import Tensors
from serve.protocol.asked import Asked
from serve.rollout.counting import ERROR, INVALID, LATE, PAIRED, TIMEOUT, Sighting, Stretch
from serve.rollout.pairing import Comparison, Request
from serve.rollout.tallies import JudgedArm
from serve.served import ServedVersion
from serve.shadow import ShadowQueue, Target
from serve.traces import Trace

_OURS = 500
"""The least status of an error that is not the client's."""
PART = 0.5
"""How much of a request's time an arm on trial has, so that the stable version has the rest."""


class JudgedExchange(Exchange):
    """Counts what its unit does, and has the stable version answer what an arm on trial does not.

    The candidate and the baseline are on trial: they have half of the request's time, and one that
    fails, is late for that or gives what is no valid output is not heard. An answer of any arm that
    takes longer than that half counts as timed out, so that arms are counted alike.
    """

    __slots__ = (
        "_asked",
        "_attempt",
        "_counts",
        "_deadline",
        "_judged_arm",
        "_judging",
        "_key",
        "_part_s",
        "_settled",
        "_sighting",
        "_took_s",
    )

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
        super().__init__(version, role, shadow, prediction_id, draw, trace)
        self._judging, self._key, self._counts = case
        self._judged_arm = self._judging.arm(version.version.number, role)
        self._sighting: Sighting | None = None
        self._settled = False
        self._attempt: Attempt | None = None
        self._asked: Asked | None = None
        self._deadline = self._part_s = self._took_s = 0.0

    def start(self, asked: Asked, deadline: float, tell: Callable[[Exchange], None]) -> None:
        """Send the request to its version; what is wrong with it is raised, and not counted."""
        self._deadline = deadline
        self._part_s = PART * (deadline - asyncio.get_running_loop().time())
        if self._judged_arm is JudgedArm.STABLE:
            super().start(asked, deadline, tell)
            self._see()
        else:
            self._tell = tell
            self._try(asked)

    def give_up(self) -> None:
        """Stop to work on the request: nobody waits for its answer any more."""
        if self._attempt is not None:
            self._version.batcher.give_up(self._attempt)
        else:
            super().give_up()

    def set_result(self, answer: Tensors, /) -> None:
        """Take the answer of a version that is not on trial."""
        self._took_s = perf_counter() - self._started
        super().set_result(answer)

    def answered(self, shadows: ShadowQueue) -> None:
        """Record an answer that has left, and count it: one that was on trial is counted."""
        super().answered(shadows)
        request = self._request
        if self._settled or request is None:
            return
        if self._counts:
            self._judging.stretch.took(self._took_s)
        valid = self._version.validity.holds(self._answer, request.rows)
        self._settle(self._events(self._took_s, valid=valid))

    def failed(self, error: WeirError) -> None:
        """Record that the request got an error, and count it unless it is the client's own."""
        super().failed(error)
        if self._settled or (self._sighting is None and error.status < _OURS):
            return
        self._see()
        self._failed_with(error)

    # An arm on trial

    def _try(self, asked: Asked) -> None:
        """Send the request to a version on trial, or at once to the stable one."""
        version = self._version
        try:
            request = version.contract.fit(asked)
        except BadInput as error:
            # What the stable version refuses too is the client's mistake; the rest is a failure.
            self._judging.stable.contract.fit(asked)
            self._begin_again(asked, error)
            return
        if not version.links.connected:
            unreachable = f"version {version.version.number} cannot be reached"
            self._begin_again(asked, NotReady(unreachable))
            return
        wire = self._trace.wire if self._trace is not None else None
        until = self._deadline - self._part_s
        attempt = Attempt(self)
        try:
            version.batcher.enqueue(attempt, request.inputs, request.rows, until, wire)
        except WeirError as error:
            self._begin_again(asked, error)
            return
        self._request, self._asked, self._attempt = request, asked, attempt
        self._see()

    def _begin_again(self, asked: Asked, error: WeirError) -> None:
        """Count a failure before anything was sent, and have the stable version answer."""
        self._see()
        self._failed_with(error)
        self._hand_over(asked, error)

    def tried(self, answer: Tensors) -> None:
        """Take the answer of the version on trial."""
        took_s = perf_counter() - self._started
        rows = self._request.rows if self._request is not None else 0
        valid = self._version.validity.holds(answer, rows)
        self._settle(self._events(took_s, valid=valid))
        if valid:
            self._asked = self._attempt = None
            super().set_result(answer)
        else:
            self._fall_back(ModelFailed("the version gave an output that is not valid"))

    def failed_to(self, error: WeirError) -> None:
        """Take the reason why the version on trial gives no answer."""
        self._failed_with(error)
        if isinstance(error, ClientGone):
            self._asked = self._attempt = None
            super().set_exception(error)
        else:
            self._fall_back(error)

    def _fall_back(self, error: WeirError) -> None:
        """Have the stable version answer, or say why it cannot."""
        asked, self._asked, self._attempt = self._asked, None, None
        try:
            if asked is None:
                raise error
            self._hand_over(asked, error)
        except WeirError as other:
            super().set_exception(other)

    def _hand_over(self, asked: Asked, error: WeirError) -> None:
        """Send the request to the stable version, which answers for itself from now on.

        One that only the failed version understands has its error.
        """
        stable = self._judging.stable
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

    # Counting

    def _see(self) -> None:
        if self._counts and self._sighting is None:
            self._sighting = self._judging.stretch.see(self._judged_arm, self._key)

    def _failed_with(self, error: WeirError) -> None:
        """Count an error; a client that leaves says nothing, unless its answer is overdue."""
        overdue = perf_counter() - self._started >= self._part_s
        if overdue or isinstance(error, DeadlineExceeded):
            self._settle(TIMEOUT | self._late(self._part_s))
        elif isinstance(error, ClientGone):
            self._settle(None)
        else:
            self._settle(ERROR)

    def _events(self, took_s: float, *, valid: bool) -> int:
        if took_s >= self._part_s:
            return TIMEOUT | self._late(self._part_s)
        return self._late(took_s) | (0 if valid else INVALID)

    def _late(self, took_s: float) -> int:
        objective_s = self._judging.late_s
        return LATE if objective_s is not None and took_s > objective_s else 0

    def _settle(self, events: int | None) -> None:
        """Count the outcome, once; None for that nobody knows it."""
        self._settled = True
        sighting = self._sighting
        if sighting is None:
            return
        if events is None:
            self._judging.stretch.left(self._judged_arm, sighting)
        elif events or sighting.first:
            self._judging.stretch.happened(self._judged_arm, sighting, events)

    # The shadow

    def _compare(self) -> Callable[[Tensors], None] | None:
        """Give what compares the shadow's answer with this one, if that is to be counted."""
        judging, request, sighting = self._judging, self._request, self._sighting
        comparison = judging.comparison
        if comparison is None or request is None or sighting is None or not request.rows:
            return None
        if self._version.version.number == judging.candidate:
            return None
        asked = Request(self._draw % request.rows, request.rows, request.inputs, request.groups)
        return partial(_compared, judging.stretch, comparison, sighting.place, asked, self._answer)


class Attempt:
    """Where the answer of a version on trial goes: what comes after its time is nobody's."""

    __slots__ = ("_exchange",)

    def __init__(self, exchange: JudgedExchange) -> None:
        self._exchange: JudgedExchange | None = exchange

    def done(self) -> bool:
        """Whether there is an outcome."""
        return self._exchange is None

    def set_result(self, answer: Tensors, /) -> None:
        """Pass on the answer."""
        exchange, self._exchange = self._exchange, None
        if exchange is not None:
            exchange.tried(answer)

    def set_exception(self, error: WeirError, /) -> None:
        """Pass on why there is none."""
        exchange, self._exchange = self._exchange, None
        if exchange is not None:
            exchange.failed_to(error)


def _compared(
    stretch: Stretch,
    comparison: Comparison,
    place: int,
    asked: Request,
    answer: Tensors,
    shadowed: Tensors,
) -> None:
    """Count a pair, unless its unit has had one or is left out."""
    if stretch.first(place, PAIRED):
        pair = comparison.pair(asked, answer, shadowed)
        if pair is not None:
            stretch.add_pair(pair)
