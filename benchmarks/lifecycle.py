"""How long `weir up` takes to be ready, and how long after SIGTERM nothing of it is left."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass

import httpx

from benchmarks.contestants import running
from benchmarks.model import Workload
from benchmarks.processes import end, wait_until
from benchmarks.weir import Weir


@dataclass(frozen=True, slots=True)
class Life:
    """One start and stop, in seconds.

    `ready_s` and `answer_s` count from the start of the command to readiness and to the first
    answer of the model; `gone_s` from SIGTERM until no process of its family is left.
    """

    ready_s: float
    answer_s: float
    gone_s: float


def measure(weir: Weir, workload: Workload, times: int, tell: Callable[[str], None]) -> list[Life]:
    """Start and stop a Weir that has a model in service so many times."""
    with running(weir):
        pass  # the first start has a model to register and files to bring into memory
    lives = []
    for number in range(times):
        life = _one(weir, workload)
        tell(
            f"{number + 1} of {times}: ready {life.ready_s:.2f} s, "
            f"first answer {life.answer_s:.2f} s, gone {life.gone_s:.2f} s"
        )
        lives.append(life)
    return lives


def _one(weir: Weir, workload: Workload) -> Life:
    up = weir.launch(None)
    ready = time.monotonic()
    try:
        body = workload.lines[0]
        with httpx.Client(trust_env=False) as client:

            def answered() -> bool:
                try:
                    return client.post(up.infer, content=body).status_code == httpx.codes.OK
                except httpx.TransportError:
                    return False

            wait_until("the first answer of the model", answered, 30.0)
        answer_s = up.ready_s + time.monotonic() - ready
    except BaseException:
        end(up.server)
        raise
    return Life(up.ready_s, answer_s, end(up.server))
