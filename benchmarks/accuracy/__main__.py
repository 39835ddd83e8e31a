"""Weir's monitors beside four libraries on the same streams: `python -m benchmarks.accuracy`.

Half an hour on two cores. Every run is written down at once, so that a command that was cut short
goes on where it stopped; the tables of `docs/monitoring-accuracy.md` are written at the end.
"""

from __future__ import annotations

import os

# One core is what a process gets; numpy reads this when it is imported.
os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

import argparse
import sys
import time
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from multiprocessing import get_context
from pathlib import Path

from benchmarks import environments
from benchmarks.accuracy import costs, report
from benchmarks.accuracy.contestants import CONTESTANTS, PINS
from benchmarks.accuracy.jobs import Job, jobs, left, run
from benchmarks.accuracy.results import Results
from benchmarks.processes import BenchmarkError

FILE = Path(__file__).parents[2] / ".tools" / "accuracy.jsonl"


def main() -> int:
    """Make the environments, replay, measure, and write the tables."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.accuracy", description=__doc__)
    parser.add_argument("--share", type=float, default=1.0, help="of the streams, for a quick look")
    parser.add_argument("--only", action="append", help="a contestant whose name begins so")
    parser.add_argument("--processes", type=int, default=2)
    parser.add_argument("--json", type=Path, default=FILE, help="where runs are written, and kept")
    parser.add_argument("--no-costs", action="store_true", help="leave time and memory out")
    parser.add_argument("--page", type=Path, default=report.PAGE)
    asked = parser.parse_args()
    asked.json.parent.mkdir(exist_ok=True)
    results = Results(asked.json)
    wanted = [
        job
        for job in left(jobs(asked.share), results)
        if asked.only is None or job.contestant.startswith(tuple(asked.only))
    ]
    _make_environments({job.contestant for job in wanted})
    _replay_all(results, wanted, asked.processes)
    if not asked.no_costs:
        for what in costs.take(results, costs.ROUNDS):
            print(what, flush=True)
    report.write(results, asked.page)
    return 0


def _make_environments(contestants: set[str]) -> None:
    for name in sorted({each.environment for each in CONTESTANTS if each.name in contestants}):
        try:
            environments.make(name, PINS)
        except (BenchmarkError, OSError) as failure:
            print(f"{name} cannot be made, and is left out: {failure}")


def _replay_all(results: Results, wanted: Sequence[Job], processes: int) -> None:
    begin = time.monotonic()
    with ProcessPoolExecutor(processes, mp_context=get_context("spawn")) as pool:
        running = {pool.submit(run, job): job for job in wanted}
        for number, future in enumerate(as_completed(running), start=1):
            job = running[future]
            results.add(future.result())
            print(
                f"{time.monotonic() - begin:5.0f} s  {number} of {len(wanted)}  "
                f"{job.contestant}: {job.scenario}",
                flush=True,
            )


if __name__ == "__main__":
    sys.exit(main())
