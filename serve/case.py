"""One request of a judged route: what its version does with it is counted."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from functools import partial
from math import inf
from time import perf_counter

from configs.errors import ClientGone, DeadlineExceeded, WeirError
from monitors.labels.assigned import Assigned
from registry.records import Role
from serve.judging import Judging
from serve.models.frames import Tensors
from serve.protocol.contract import InferRequest
from serve.rollout.counting import ERROR, INVALID, LATE, TIMEOUT, RolloutCount, Sighting
from serve.rollout.pairing import Pair, Request
from serve.served import ServedVersion

PART = 0.5
"""How much of a request's time a version has.

One that is on trial is given no more, so that the stable version has the rest. An answer of any arm
that takes longer counts as timed out, though the client may get it: arms must be counted alike.
"""


class Case:
    """Counts, once, what a version does with a request; `key` is the request's `Weir-Key`.

    A version `on_trial` may fail, since `judging.stable` answers in its place. Nothing counts while
    an arm on trial cannot be reached: see `Judging.comparable`.
    """

    __slots__ = (
        "_arm",
        "_key",
        "_part_s",
        "_settled",
        "_sighting",
        "_started",
        "_took_s",
        "judging",
        "on_trial",
        "version",
    )

    def __init__(
        self, judging: Judging, key: bytes | None, version: ServedVersion, role: Role
    ) -> None:
        self.judging = judging
        self.version = version
        self.on_trial = judging.on_trial(version, role)
        self._key = key
        self._arm = judging.arm(version, role)
        self._sighting: Sighting | None = None
        self._settled = not judging.comparable
        self._started = perf_counter()
        self._part_s = self._took_s = 0.0

    def begin(self, deadline: float) -> float:
        """Give the moment by which the version is to answer, by the loop's clock."""
        self._part_s = PART * (deadline - asyncio.get_running_loop().time())
        return deadline - self._part_s

    def sent(self) -> None:
        """Find the unit of a request that its version has got: from now on there is an outcome."""
        if not self._settled and self._sighting is None:
            self._sighting = self._arm.see(self._key)

    def void(self) -> None:
        """Count nothing: what becomes of the request says nothing of its version."""
        self._settled = True

    def came(self) -> None:
        """Note how long an answer took that has just come."""
        self._took_s = perf_counter() - self._started

    def answered(self, answer: Tensors, rows: int) -> None:
        """Count an answer that has left, unless it is counted already."""
        if not self._settled:
            self.judge(answer, rows)

    def judge(self, answer: Tensors, rows: int) -> bool:
        """Count an answer that has come; whether it is valid."""
        valid = self.version.validity.holds(answer, rows)
        if self._took_s >= self._part_s:
            self._settle(self._timed_out(), self._took_s)
        else:
            self._settle(self._late(self._took_s) | (0 if valid else INVALID), self._took_s)
        return valid

    def failed(self, error: WeirError) -> None:
        """Count an error, if the version has got the request at all.

        A client that leaves was not answered in its time: were it not counted, a version that
        hangs would look the better, the sooner its clients lose patience.
        """
        if self._sighting is None:
            return
        waited_s = perf_counter() - self._started
        if waited_s >= self._part_s or isinstance(error, DeadlineExceeded):
            self._settle(self._timed_out(), inf)
        elif isinstance(error, ClientGone):
            self._settle(TIMEOUT | self._late(waited_s), inf)
        else:
            self._settle(ERROR)

    def assigned(self) -> Assigned | None:
        """Give the arm that the unit was assigned to, whoever answers in the end."""
        sighting = self._sighting
        return self._arm.assigned(sighting) if sighting is not None else None

    def pairs(
        self, draw: int, request: InferRequest, answer: Tensors
    ) -> Callable[[Tensors], Assigned | None] | None:
        """Give what compares a shadow's answer with this one, if that is to be counted.

        It gives what that answer belongs to, where a label will tell of both.
        """
        comparison, sighting = self.judging.comparison, self._sighting
        if comparison is None or sighting is None or not request.rows:
            return None
        asked = Request(draw % request.rows, request.rows, request.inputs, request.groups)
        compare = partial(comparison.pair, asked, answer)
        return partial(_compared, self.judging.count, sighting.place, compare)

    def _timed_out(self) -> int:
        return TIMEOUT | self._late(self._part_s)

    def _late(self, took_s: float) -> int:
        objective_s = self.judging.late_s
        return LATE if objective_s is not None and took_s > objective_s else 0

    def _settle(self, events: int, took_s: float | None = None) -> None:
        """Count the outcome, once, and how long the answer took: none in time, an infinite time."""
        if not self._settled:
            self._settled = True
            if self._sighting is not None:
                self._arm.happened(self._sighting, events)
                if took_s is not None:
                    self._arm.took(took_s)


def _compared(
    count: RolloutCount, place: int, compare: Callable[[Tensors], Pair | None], shadowed: Tensors
) -> Assigned | None:
    return count.pair(place, partial(compare, shadowed))
