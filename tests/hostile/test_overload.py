"""A slow model that is asked for far more than it can answer goes on answering what it can."""

from __future__ import annotations

import time
from pathlib import Path

import orjson
import pytest

from benchmarks.open_loop import Phase, Plan, ask
from serve.models.frames import Tensors
from tests.gateway.asking import infer_path, tensor
from tests.serve.stage import stage
from tests.serve.versions import MODEL, alone, run_of

pytestmark = pytest.mark.hostile

ROW_S = 0.005
SECONDS = 6.0
ANSWER_S = 1.0
REFUSAL_S = 0.05


class Slow:
    """A version that takes 5 ms a row, and how long it worked in all."""

    def __init__(self) -> None:
        self._run = run_of(1)
        self.worked_s = 0.0

    def __call__(self, tensors: Tensors) -> Tensors:
        """Answer after a while."""
        began = time.perf_counter()
        time.sleep(ROW_S * len(tensors[0]))
        answer = self._run(tensors)
        self.worked_s += time.perf_counter() - began
        return answer


@pytest.mark.parametrize("times", [2.0, 5.0])
def test_too_much_is_refused_at_once_and_the_rest_is_answered_soon(
    tmp_path: Path, times: float
) -> None:
    """The model never idles, refusals come within 50 ms and say when to come back."""
    bodies = tmp_path / "bodies"
    bodies.write_bytes(orjson.dumps({"inputs": [tensor([[1.0, 2.0, 3.0]])]}))
    slow = Slow()
    with stage(tmp_path) as opened:
        opened.start_host(1, slow)
        opened.apply(alone(opened.next_generation()))
        phases = (Phase(times / ROW_S, SECONDS), Phase(0.2 / ROW_S, 2.0))
        plan = Plan(opened.port, infer_path(MODEL), str(bodies), phases, connections=1000)
        load, after = ask(plan)

    assert (load.unanswered, load.other) == (0, {})
    assert slow.worked_s >= 0.9 * SECONDS
    assert load.ok_in_1s >= 0.9 * load.ok > 0
    assert load.ok_p99_s <= ANSWER_S
    assert load.refused > 0
    # A machine that runs the client late runs the gateway late, and that is not overload.
    assert load.refused_p99_s <= REFUSAL_S + 3 * load.late_p99_s
    assert load.without_retry_after == 0
    assert after.ok >= 0.9 * after.due
