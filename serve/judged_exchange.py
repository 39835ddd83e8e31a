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
from serve.judging import Judging
from serve.models.frames import Tensors
from serve.protocol.asked import Asked
from serve.rollout.counting import ERROR, INVALID, LATE, PAIRED, TIMEOUT, Sighting, Stretch
from serve.rollout.pairing import Comparison, Request
from serve.rollout.tallies import JudgedArm
from serve.rollout.units import LEFT_OUT
from serve.served import ServedVersion
from serve.shadow import ShadowQueue, Target
from serve.traces import Trace

PART = 0.5
"""How much of a request's time an arm on trial has, so that the stable version has the rest."""

_UNSEEN = Sighting(LEFT_OUT, first=False)


class JudgedExchange(Exchange):
    """Counts what its unit does, and has the stable version answer what an arm on trial does not.

    The candidate and the baseline are on trial: they have half of the request's time, and one that
    fails, is late for that or gives what is no valid output is not heard. An answer of any arm that
    takes longer than that half counts as timed out, so that arms are counted alike.
    """

    __slots__ = (
        "_asked",
        "_attempt",
        "_deadline",
        "_judged_arm",
        "_judging",
        "_key",
        "_part_s",
        "_sighting",
        "_took_s",
    )

    def __init__(
        self,
        judging: Judging,
        key: bytes | None,
        version: ServedVersion,
        role: Role,
        shadow: Target | None,
        prediction_id: str,
        draw: int,
        trace: Trace | None,
    ) -> None:
        super().__init__(version, role, shadow, prediction_id, draw, trace)
        self._judging = judging
        self._judged_arm = judging.arm(version.version.number, role)
        self._key = key
        self._sighting = _UNSEEN
        self._attempt: Attempt | None = None
        self._asked: Asked | None = None
        self._deadline = self._part_s = self._took_s = 0.0

    def start(self, asked: Asked, deadline: float, tell: Callable[[Exchange], None]) -> None:
        """Send the request to its version; what is wrong with it is raised, and not counted."""
        self._deadline = deadline
        self._part_s = PART * (deadline - asyncio.get_running_loop().time())
        if self._judged_arm is not JudgedArm.STABLE:
            self._try(asked, tell)
            return
        try:
            super().start(asked, deadline, tell)
        except BadInput:
            raise
        except WeirError as error:
            self._see()
            self._failed_with(error)
            raise
        self._see()

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

    def set_exception(self, error: WeirError, /) -> None:
        """Take the reason why there is no answer, from a version that is not on trial."""
        if self._judged_arm is JudgedArm.STABLE:
            self._failed_with(error)
        super().set_exception(error)

    def answered(self, shadows: ShadowQueue) -> None:
        """Record an answer that has left, and count it: one that was on trial is counted."""
        super().answered(shadows)
        if self._judged_arm is JudgedArm.STABLE and self._request is not None:
            self._judging.stretch.took(self._took_s)
            valid = self._version.validity.holds(self._answer, self._request.rows)
            self._answered_after(self._took_s, valid=valid)

    # An arm on trial

    def _try(self, asked: Asked, tell: Callable[[Exchange], None]) -> None:
        """Send the request to a version on trial, or at once to the stable one."""
        version = self._version
        self._asked = asked
        self._tell = tell
        try:
            request = version.contract.fit(asked)
            if not version.links.connected:
                raise NotReady(f"version {version.version.number} cannot be reached")
        except BadInput as error:
            # What the stable version refuses too is the client's mistake; the rest is a failure.
            self._judging.stable.contract.fit(asked)
            self._see()
            self._begin_again(error)
            return
        except WeirError as error:
            self._see()
            self._begin_again(error)
            return
        self._see()
        self._request = request
        self._attempt = attempt = Attempt(self)
        wire = self._trace.wire if self._trace is not None else None
        until = self._deadline - self._part_s
        try:
            version.batcher.enqueue(attempt, request.inputs, request.rows, until, wire)
        except WeirError as error:
            self._begin_again(error)

    def tried(self, answer: Tensors) -> None:
        """Take the answer of the version on trial."""
        rows = self._request.rows if self._request is not None else 0
        took_s = perf_counter() - self._started
        valid = self._version.validity.holds(answer, rows)
        if not valid:
            self._answered_after(took_s, valid=False)
            self._fall_back(ModelFailed("the version gave an output that is not valid"))
            return
        self._attempt = self._asked = None
        self._answered_after(took_s, valid=True)
        super().set_result(answer)

    def failed_to(self, error: WeirError) -> None:
        """Take the reason why the version on trial gives no answer."""
        self._failed_with(error)
        if isinstance(error, ClientGone):
            self._attempt = self._asked = None
            super().set_exception(error)
        else:
            self._fall_back(error)

    def _fall_back(self, error: WeirError) -> None:
        """Have the stable version answer, or say why it cannot."""
        try:
            self._hand_over(error)
        except WeirError as other:
            super().set_exception(other)

    def _begin_again(self, error: WeirError) -> None:
        """Count a failure before anything was sent, and have the stable version answer."""
        self._failed_with(error)
        self._hand_over(error)

    def _hand_over(self, error: WeirError) -> None:
        """Send the request to the stable version, which answers for itself from now on.

        One that only the failed version understands has its error.
        """
        asked, self._asked, self._attempt = self._asked, None, None
        stable = self._judging.stable
        if asked is None:
            raise error
        try:
            request = stable.contract.fit(asked)
        except BadInput:
            raise error from None
        failed, answers = self._arm, stable.arm(Role.STABLE)
        failed.failed(perf_counter() - self._started, error.code)
        self._version, self._arm, self._request = stable, answers, request
        self._started = perf_counter()
        if self._trace is not None:
            trace = self._trace.fell_back(failed.origin, error)
            self._trace = trace.routed(answers.origin, Role.STABLE, self.prediction_id)
        wire = self._trace.wire if self._trace is not None else None
        stable.batcher.enqueue(self, request.inputs, request.rows, self._deadline, wire)

    # Counting

    def _see(self) -> None:
        if self._judging.counts:
            self._sighting = self._judging.stretch.see(self._judged_arm, self._key)

    def _failed_with(self, error: WeirError) -> None:
        """Count an error; a client that leaves says nothing, unless its answer is overdue."""
        took_s = perf_counter() - self._started
        if isinstance(error, DeadlineExceeded) or took_s >= self._part_s:
            self._count(TIMEOUT | self._late(self._part_s))
        elif not isinstance(error, ClientGone):
            self._count(ERROR)

    def _answered_after(self, took_s: float, *, valid: bool) -> None:
        if took_s >= self._part_s:
            self._count(TIMEOUT | self._late(self._part_s))
        else:
            events = self._late(took_s) | (0 if valid else INVALID)
            if events:
                self._count(events)

    def _late(self, took_s: float) -> int:
        objective_s = self._judging.late_s
        return LATE if objective_s is not None and took_s > objective_s else 0

    def _count(self, events: int) -> None:
        self._judging.stretch.happened(self._judged_arm, self._sighting, events)

    # The shadow

    def _compare(self) -> Callable[[Tensors], None] | None:
        """Give what compares the shadow's answer with this one, if that is to be counted."""
        judging, request = self._judging, self._request
        comparison = judging.comparison
        if comparison is None or request is None or not request.rows:
            return None
        if self._version is not judging.stable or self._judged_arm is JudgedArm.CANDIDATE:
            return None
        asked = Request(self._draw % request.rows, request.rows, request.inputs, request.groups)
        return partial(
            _compared, judging.stretch, comparison, self._sighting.place, asked, self._answer
        )


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
    """Count a pair, unless its unit has had one."""
    if stretch.first(place, PAIRED):
        pair = comparison.pair(asked, answer, shadowed)
        if pair is not None:
            stretch.add_pair(pair)
