"""A request on a judged route: what becomes of it is counted."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from functools import partial
from time import perf_counter

from configs.errors import ClientGone, DeadlineExceeded, WeirError
from monitors.labels.assigned import Assigned
from registry.records import Role
from serve.exchange import Exchange
from serve.judging import Case
from serve.models.frames import Tensors
from serve.protocol.asked import Asked
from serve.rollout.counting import ERROR, INVALID, LATE, TIMEOUT, RolloutCount, Sighting
from serve.rollout.pairing import Pair, Request
from serve.served import ServedVersion
from serve.shadow import ShadowQueue, Target
from serve.traces import Trace

PART = 0.5
"""How much of a request's time a version has.

One that is on trial is given no more, so that the stable version has the rest. An answer of any arm
that takes longer counts as timed out, though the client may get it: arms must be counted alike.
"""


class JudgedExchange(Exchange):
    """Counts what its unit does, once its answer has left or there is none."""

    __slots__ = ("_arm_count", "_case", "_part_s", "_settled", "_sighting", "_took_s")

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
        self._case = case
        self._arm_count = case.judging.arm(version, role)
        self._sighting: Sighting | None = None
        self._settled = not case.counts
        self._part_s = self._took_s = 0.0

    def start(self, asked: Asked, deadline: float, tell: Callable[[Exchange], None]) -> None:
        """Send the request to its version; why it cannot be sent is raised, and not counted."""
        self._part_s = PART * (deadline - asyncio.get_running_loop().time())
        super().start(asked, deadline, tell)
        self._see()

    def set_result(self, answer: Tensors, /) -> None:
        """Take the model's answer."""
        self._took_s = perf_counter() - self._started
        super().set_result(answer)

    def answered(self, shadows: ShadowQueue) -> None:
        """Record an answer that has left, and count it."""
        super().answered(shadows)
        if not self._settled:
            self._case.judging.count.took(self._took_s)
            self._judge(self._answer)

    def failed(self, error: WeirError) -> None:
        """Record that the request got an error, and count it if its version was asked at all."""
        super().failed(error)
        if self._sighting is not None:
            self._failed_with(error)

    def _see(self) -> None:
        """Find the unit."""
        if self._sighting is None and not self._settled:
            self._sighting = self._arm_count.see(self._case.key)

    def _judge(self, answer: Tensors) -> bool:
        """Count an answer; whether it is valid."""
        rows = self._request.rows if self._request is not None else 0
        valid = self._version.validity.holds(answer, rows)
        if self._took_s >= self._part_s:
            self._settle(self._timed_out())
        else:
            self._settle(self._late(self._took_s) | (0 if valid else INVALID))
        return valid

    def _failed_with(self, error: WeirError) -> None:
        """Count an error.

        A client that leaves was not answered in its time: were it not counted, a version that
        hangs would look the better, the sooner its clients lose patience.
        """
        waited_s = perf_counter() - self._started
        if waited_s >= self._part_s or isinstance(error, DeadlineExceeded):
            self._settle(self._timed_out())
        elif isinstance(error, ClientGone):
            self._settle(TIMEOUT | self._late(waited_s))
        else:
            self._settle(ERROR)

    def _timed_out(self) -> int:
        return TIMEOUT | self._late(self._part_s)

    def _late(self, took_s: float) -> int:
        objective_s = self._case.judging.late_s
        return LATE if objective_s is not None and took_s > objective_s else 0

    def _settle(self, events: int) -> None:
        """Count the outcome, once."""
        if not self._settled:
            self._settled = True
            if self._sighting is not None:
                self._arm_count.happened(self._sighting, events)

    def _assigned(self) -> Assigned | None:
        """Give the arm that the unit was assigned to, whoever answers in the end."""
        sighting = self._sighting
        return self._arm_count.assigned(sighting) if sighting is not None else None

    def _compare(self) -> Callable[[Tensors], None] | None:
        """Give what compares the shadow's answer with this one, if that is to be counted."""
        judging, request, sighting = self._case.judging, self._request, self._sighting
        comparison = judging.comparison
        if comparison is None or request is None or sighting is None or not request.rows:
            return None
        asked = Request(self._draw % request.rows, request.rows, request.inputs, request.groups)
        compare = partial(comparison.pair, asked, self._answer)
        return partial(_compared, judging.count, sighting.place, compare)


def _compared(
    count: RolloutCount, place: int, compare: Callable[[Tensors], Pair | None], shadowed: Tensors
) -> None:
    count.pair(place, partial(compare, shadowed))
