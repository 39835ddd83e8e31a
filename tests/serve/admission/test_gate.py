"""The gate counts what the batcher holds, and is steered by it."""

from __future__ import annotations

import numpy as np
import pytest

from configs.errors import Overloaded
from serve.admission.gate import Gate
from serve.admission.limit import Bounds
from serve.models.batcher import Batcher
from tests.serve.models.carriers import Holding, batcher, rows, soon
from tests.serve.waiting import until


class Gated:
    """A batcher of single jobs, its gate, and how often the gate refused."""

    def __init__(self, in_flight_max: int = 3) -> None:
        self.batcher: Batcher = batcher(max_rows=1)
        self.refusals = 0
        self.gate = Gate("credit", self.batcher, Bounds(0.02, in_flight_max), self._refused)

    def ask(self) -> None:
        """Send a request through the gate."""
        self.gate.admit()
        self.batcher.submit(rows(1), 1, soon())

    def _refused(self) -> None:
        self.refusals += 1


async def test_what_waits_and_what_is_out_counts_until_it_is_answered() -> None:
    """A request more than the limit is refused; an answer makes room for exactly one."""
    gated = Gated()
    link = Holding(gated.batcher)
    for _ in range(3):
        gated.ask()
    await until(lambda: bool(link.out), "a batch is out")

    with pytest.raises(Overloaded, match="credit has as many requests as it can answer in time"):
        gated.ask()
    link.answer()
    gated.ask()
    with pytest.raises(Overloaded):
        gated.ask()
    assert gated.refusals == 2
    assert gated.batcher.in_flight == 3


async def test_a_link_that_breaks_leaves_no_ghosts() -> None:
    """Jobs of a batch that is lost, sent again and lost for good are in flight no more."""
    gated = Gated()
    lost = Holding(gated.batcher)
    gated.ask()
    await until(lambda: bool(lost.out), "a batch is out")
    again = Holding(gated.batcher)
    lost.lose()
    assert gated.batcher.in_flight == 1

    again.lose()

    assert gated.batcher.in_flight == 0


async def test_jobs_that_fail_together_are_in_flight_until_each_has_failed() -> None:
    """A batch that fails is tried job by job; all of them count meanwhile."""
    whole = batcher(max_rows=8)
    link = Holding(whole)
    asked = [whole.submit(rows(1), 1, soon()) for _ in range(3)]
    await until(lambda: bool(link.out), "a batch is out")

    whole.answered(link.out.pop(), (np.zeros(1),))
    assert whole.in_flight == 3
    whole.free(link)
    for _ in range(3):
        link.answer()

    assert whole.in_flight == 0
    assert all(answer.done() for answer in asked)


async def test_there_is_nothing_to_spare_beyond_half_of_the_limit() -> None:
    """The gate is busy before it refuses."""
    gated = Gated(in_flight_max=4)
    Holding(gated.batcher)
    told = []
    for _ in range(4):
        told.append(gated.gate.busy())
        gated.ask()

    assert told == [False, False, False, True]
    assert gated.refusals == 0
