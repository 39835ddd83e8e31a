"""What a request costs while its route is judged by a rollout, over real sockets.

`python -m benchmarks.judged`: the processor time of a request of one row as JSON over 32
connections, all of Weir's processes counted, on one gateway whose route is in each of five states
in turn: one version alone; two of which the other has one request in ten thousand, or half, each
as a rollout that is judged and as a split that nobody judges. Every version has a host of its own.
Ratios are within a turn.
"""

from __future__ import annotations

import argparse
import os
import shutil
import sys
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Any

import httpx

from benchmarks import processor, tools, wrk
from benchmarks.contestants import running
from benchmarks.field import WAIT_TARGET_S, WEIR
from benchmarks.many_models import FEATURES, build_one, check, write_lines
from benchmarks.processes import on_cores, wait_until
from benchmarks.weir import Weir
from serve.control.client import ControlClient

MODEL = "model"
CONNECTIONS = 32
WAIT_S = 120.0
ALONE = "one version"
FEW, HALF = 0.01, 50.0


@dataclass(frozen=True, slots=True)
class Cost:
    """Processor time of a request in microseconds, and requests a second."""

    each_us: float
    requests_per_s: float


def policy(percent: float) -> dict[str, Any]:
    """A canary that stays where it is, and is judged as it would be by default."""
    return {
        "steps": [percent],
        "dwell_s": 86_000.0,
        "step_max_s": 86_400.0,
        "shadow": {"fraction": 0.0},
        "guardrails": [
            {"metric": "error_ratio", "margin_abs": 0.005},
            {"metric": "timeout_ratio", "margin_abs": 0.005},
            {"metric": "invalid_output", "margin_abs": 0.001},
            {"metric": "latency_over_slo", "margin_rel": 1.0},
        ],
        "hard_limits": [],
        "alpha": {"rollback": 1e-6},
    }


@contextmanager
def _alone(_control: ControlClient) -> Iterator[None]:
    yield


def _split(percent: float) -> Callable[[ControlClient], Any]:
    @contextmanager
    def state(control: ControlClient) -> Iterator[None]:
        control.set_route(MODEL, {1: 100 - percent, 2: percent}, reason="benchmark")
        try:
            yield
        finally:
            control.set_route(MODEL, {1: 100}, reason="benchmark")

    return state


def _judged(percent: float) -> Callable[[ControlClient], Any]:
    @contextmanager
    def state(control: ControlClient) -> Iterator[None]:
        begun = control.start_rollout(MODEL, 2, policy(percent)).rollout.id
        _until(control, begun, "canary")
        try:
            yield
        finally:
            control.command_rollout(begun, "abort", "benchmark")
            _until(control, begun, "rolled back")

    return state


STATES: Mapping[str, Callable[[ControlClient], Any]] = {
    ALONE: _alone,
    f"{FEW:g} % of another": _split(FEW),
    f"{FEW:g} %, judged": _judged(FEW),
    f"{HALF:g} % of another": _split(HALF),
    f"{HALF:g} %, judged": _judged(HALF),
}


def measure(
    folder: Path, turns: int, seconds: int, tell: Callable[[str], None]
) -> list[dict[str, Cost]]:
    """One cost of each state in each turn, which begins with another of them."""
    asked = build_one(folder, folder / "weir", FEATURES, versions=2)
    lines = write_lines(folder / "lines", asked)
    hosts = {"shared": 0, "replicas": 1}
    weir = Weir(WEIR, (), folder, wait_target_s=WAIT_TARGET_S, hosts=hosts)
    cores = sorted(os.sched_getaffinity(0))
    found: list[dict[str, Cost]] = []
    with (
        running(weir, set(cores[:1])) as up,
        on_cores(set(cores[1:2])),
        ControlClient(up.control, "benchmark") as control,
    ):
        url = f"http://127.0.0.1:{up.http_port}"
        control.set_route(MODEL, {1: 100}, reason="benchmark")
        names = [*STATES]
        for turn in range(turns):
            costs: dict[str, Cost] = {}
            for name in (*names[turn % len(names) :], *names[: turn % len(names)]):
                with STATES[name](control):
                    processor.settle(up.server.pid)
                    with httpx.Client(base_url=url, trust_env=False, timeout=WAIT_S) as client:
                        check(asked[0], client.post(asked[0].path, content=asked[0].line))
                    costs[name] = _cost(url, lines, seconds, up.server.pid)
                tell(f"turn {turn + 1}: {name}: {costs[name].each_us:.0f} µs")
            found.append(costs)
    return found


def _cost(url: str, lines: Path, seconds: int, pid: int) -> Cost:
    def ask() -> wrk.Load:
        return wrk.run(url, [str(lines)], CONNECTIONS, seconds, script="post_paths.lua")

    ask()  # Warm.
    before = processor.used(pid)
    met = ask()
    spent = sum(processor.between(before, processor.used(pid)).values())
    return Cost(1e6 * spent / met.requests, met.requests_per_s)


def _until(control: ControlClient, rollout: str, state: str) -> None:
    wait_until(
        f"a rollout that is {state}", lambda: control.rollout(rollout).state.value == state, WAIT_S
    )


def table(found: Sequence[Mapping[str, Cost]]) -> str:
    """Medians, with the least and the greatest ratio of a turn."""
    rows = ["| route | µs a request | over one version | requests/s over it |", "|---|---|---|---|"]
    for name in STATES:
        ratios = [turn[name].each_us / turn[ALONE].each_us for turn in found]
        speeds = [turn[name].requests_per_s / turn[ALONE].requests_per_s for turn in found]
        middle = median(turn[name].each_us for turn in found)
        rows.append(f"| {name} | {middle:.0f} | {_spread(ratios)} | {_spread(speeds)} |")
    return "\n".join(rows)


def _spread(ratios: Sequence[float]) -> str:
    return f"{median(ratios):.2f} ({min(ratios):.2f} .. {max(ratios):.2f})"


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure and print."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.judged", description=__doc__)
    parser.add_argument("--turns", type=int, default=8, help="turns, each with all states (8)")
    parser.add_argument("--seconds", type=int, default=4, help="whole seconds of each run (4)")
    args = parser.parse_args(arguments)
    tools.find("wrk")
    folder = Path(tempfile.mkdtemp(prefix="weir-judged-"))
    try:
        found = measure(folder, args.turns, args.seconds, lambda line: print(line, flush=True))
        print(table(found))
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
