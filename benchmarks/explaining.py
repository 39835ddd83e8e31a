"""How long an explanation takes, and what callers of the same model feel of it.

`python -m benchmarks.explaining`: the benchmark's 30-feature gradient-boosted classifier in a real
gateway. Single rows are explained one after the other over one connection, and in between, in
turns, one connection asks for answers alone and beside explanations that never stop.
"""

from __future__ import annotations

import argparse
import tempfile
import threading
import time
from collections.abc import Callable
from pathlib import Path

import httpx
import numpy as np
import orjson

from benchmarks.contestants import running
from benchmarks.model import Workload, build
from benchmarks.weir import Weir, alone

_TIMEOUT_S = 30.0


class Bench:
    """One gateway, and the time that its answers take."""

    def __init__(self, infer: str, workload: Workload) -> None:
        self._infer = infer
        self._explain = infer.removesuffix("infer") + "explain"
        self._lines = workload.lines

    def first(self) -> str:
        """The first explanation waits for the process to load its model."""
        with _client() as client:
            return f"the first: {self._ask(client, self._explain, 0) * 1e3:.0f} ms"

    def explained(self, times: int) -> str:
        """Explain so many rows, one after the other."""
        with _client() as client:
            took = [self._ask(client, self._explain, at) for at in range(times)]
            said = orjson.loads(client.post(self._explain, content=self._lines[0]).content)
        (row,) = said["explanations"]
        errors = [each["standard_error"] for each in row["contributions"]]
        return (
            f"{times} explanations: {_spread(took)}; of the first row {row['samples']} samples, "
            f"{row['model_runs']} runs, largest standard error {max(errors):.4f}"
        )

    def answers(self, seconds: float, beside: bool) -> str:
        """Ask for answers for so long, alone or beside explanations."""
        stop, told = threading.Event(), [0]

        def go_on() -> None:
            with _client() as client:
                while not stop.is_set():
                    self._ask(client, self._explain, told[0])
                    told[0] += 1

        thread = threading.Thread(target=go_on)
        if beside:
            thread.start()
        try:
            with _client() as client:
                until = time.perf_counter() + seconds
                took: list[float] = []
                while time.perf_counter() < until:
                    took.append(self._ask(client, self._infer, len(took)))
        finally:
            stop.set()
            if beside:
                thread.join()
        what = f"beside {told[0]} explanations" if beside else "alone"
        return f"{len(took)} answers {what}: {_spread(took)}"

    def _ask(self, client: httpx.Client, url: str, at: int) -> float:
        began = time.perf_counter()
        client.post(url, content=self._lines[at % len(self._lines)]).raise_for_status()
        return time.perf_counter() - began


def _client() -> httpx.Client:
    return httpx.Client(trust_env=False, timeout=_TIMEOUT_S)


def _spread(took: list[float]) -> str:
    middle, late = np.percentile(took, [50, 99]) * 1e3
    return f"median {middle:.2f} ms, 99th percentile {late:.2f} ms"


def main() -> None:
    """Measure, and say what was found."""
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--times", type=int, default=300)
    options.add_argument("--seconds", type=float, default=5.0)
    options.add_argument("--rounds", type=int, default=2)
    args = options.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        workload = build(folder)
        with running(Weir("weir", alone(workload), folder)) as up:
            bench = Bench(up.infer, workload)
            steps: list[Callable[[], str]] = [bench.first]
            for _ in range(args.rounds):
                steps += [
                    lambda: bench.explained(args.times),
                    lambda: bench.answers(args.seconds, beside=False),
                    lambda: bench.answers(args.seconds, beside=True),
                ]
            for step in steps:
                print(step(), flush=True)


if __name__ == "__main__":
    main()
