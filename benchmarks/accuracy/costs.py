"""What a million rows cost each library, taken in turn and with nothing beside it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import numpy as np

from benchmarks.accuracy import peer
from benchmarks.accuracy.contestants import (
    CONTESTANTS,
    EVIDENTLY_COMPARED,
    EVIDENTLY_WHOLE,
    Contestant,
)
from benchmarks.accuracy.results import Entry, Missing, Results
from benchmarks.accuracy.streams import REFERENCE_ROWS, Rows, independent
from benchmarks.accuracy.weir import BOTH
from benchmarks.processes import BenchmarkError

ROUNDS = 3
MILLION = 1_000_000

WEIR = Contestant(
    BOTH,
    "weir",
    "",
    "all monitors, looked at every 1,000 rows",
    {"window": 1_000},
    REFERENCE_ROWS,
    0,
    0,
    MILLION,
)
SELDOM = replace(
    WEIR,
    name="Weir, looked at every 10,000 rows",
    about="as with a look every two seconds at 5,000 rows a second",
    settings={"window": 10_000},
)
WHOLE = Contestant(
    EVIDENTLY_WHOLE,
    "evidently",
    "evidently_monitor.py",
    "one report over a million rows",
    {"window": None},
    REFERENCE_ROWS,
    0,
    0,
    MILLION,
)


def take(results: Results, rounds: int) -> Iterator[str]:
    """Measure what an earlier run has not; says what is being measured.

    Weir and Evidently, which are compared, take turns. One report over all rows is made once.
    """
    rng = np.random.default_rng(0)
    reference, live = _rows(rng, REFERENCE_ROWS), _rows(rng, MILLION)
    compared = [each for each in CONTESTANTS if each.name == EVIDENTLY_COMPARED]
    for number in range(rounds):
        for contestant in (WEIR, *compared):
            yield from _one(results, contestant, number, reference, live)
    for contestant in (SELDOM, WHOLE, *CONTESTANTS):
        if contestant not in compared:
            yield from _one(results, contestant, 0, reference, live)


def _one(
    results: Results, contestant: Contestant, number: int, reference: Rows, live: Rows
) -> Iterator[str]:
    if any(cost.number == number for cost in results.costs(contestant.name)):
        return
    yield f"{contestant.name}: what {contestant.cost_rows:,} rows cost, round {number + 1}"
    entry: Entry
    try:
        entry = peer.measure(contestant, number, reference, live[: contestant.cost_rows])
    except BenchmarkError as failure:
        entry = Missing(contestant.name, "cost", str(failure))
    results.add([entry])


def _rows(rng: np.random.Generator, rows: int) -> Rows:
    return independent(rng, rows).astype(np.float32)
