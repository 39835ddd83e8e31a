"""The other libraries, how each is set up, and how many streams it is shown.

Those that are slow are shown fewer. All keep their defaults; what has none is written here.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks.accuracy.streams import CLEAN_ROWS

PINS = Path(__file__).parent / "peers"


@dataclass(frozen=True, slots=True)
class Contestant:
    """A library with its settings.

    `clean` and `changing` are the numbers of streams that it is shown of each kind. `by_window`:
    it keeps nothing from one window to the next, so that the rows before a change are left out.
    `alone`: it judges each column by itself, so that of a stream that changes it is shown the
    changed column only. `rows_max`: of a longer stream it is shown the beginning. `cost_rows` are
    timed.
    """

    name: str
    environment: str
    script: str
    about: str
    settings: Mapping[str, Any]
    reference_rows: int
    clean: int
    changing: int
    cost_rows: int
    by_window: bool = False
    alone: bool = False
    categories: bool = True
    rhythmic: int = 10
    rows_max: int = CLEAN_ROWS


def _evidently(reference: int, window: int, clean: int, rows_max: int) -> Contestant:
    tests = "Wasserstein and Jensen-Shannon distances" if reference > 1_000 else "tests at 5 %"
    cut = f"; shown the first {rows_max:,} rows" if rows_max < CLEAN_ROWS else ""
    return Contestant(
        f"Evidently, reference {reference:,}, windows of {window:,}",
        "evidently",
        "evidently_monitor.py",
        f"`DataDriftPreset()`: its own choice, which is {tests} at this size of the reference{cut}",
        {"window": window},
        reference,
        clean,
        50,
        5 * window,
        by_window=True,
        alone=True,
        rhythmic=min(clean, 10),
        rows_max=rows_max,
    )


def _nannyml(window: int | None, clean: int) -> Contestant:
    chunks = f"chunks of {window:,}" if window else "10 chunks"
    return Contestant(
        f"NannyML, {chunks}",
        "nannyml",
        "nannyml_monitor.py",
        "`UnivariateDriftCalculator`: Jensen-Shannon distance, mean + 3 deviations over the "
        "chunks of the reference" + ("" if window else "; the number of chunks is its default"),
        {"window": window},
        20_000,
        clean,
        50,
        100_000,
        by_window=window is not None,
        alone=True,
    )


def _alibi(window: int, clean: int) -> Contestant:
    return Contestant(
        f"alibi-detect, windows of {window:,}",
        "alibi-detect",
        "alibi_detect_monitor.py",
        "`TabularDrift`: Kolmogorov-Smirnov and chi-square at 5 % over all columns (Bonferroni)",
        {"window": window},
        20_000,
        clean,
        50,
        50_000,
        by_window=True,
    )


def _river(detector: str, changing: int, cost_rows: int) -> Contestant:
    return Contestant(
        f"river, {detector}",
        "river",
        "river_monitor.py",
        f"`drift.{detector}()`, one for each column; it knows no reference",
        {"detector": detector},
        1,
        20,
        changing,
        cost_rows,
        alone=True,
    )


EVIDENTLY_COMPARED = "Evidently, reference 20,000, windows of 1,000"
EVIDENTLY_WHOLE = "Evidently, reference 20,000, a report over all rows"

CONTESTANTS = (
    _evidently(1_000, 200, 20, CLEAN_ROWS),
    _evidently(1_000, 1_000, 20, CLEAN_ROWS),
    _evidently(20_000, 200, 20, CLEAN_ROWS),
    _evidently(20_000, 1_000, 5, 5_000),
    _nannyml(200, 20),
    _nannyml(1_000, 20),
    _nannyml(None, 20),
    _alibi(200, 20),
    _alibi(1_000, 20),
    Contestant(
        "alibi-detect, online",
        "alibi-detect",
        "alibi_detect_monitor.py",
        "`CVMDriftOnline`: 1,000 rows between false alarms asked for, windows of 20 and 100 rows, "
        "10,000 simulations (its default); it grows with the reference, which is 500 rows here",
        {"window": None, "ert": 1_000, "windows": [20, 100], "bootstraps": 10_000},
        500,
        10,
        10,
        1_000,
        categories=False,
        rhythmic=5,
    ),
    _river("ADWIN", 50, 20_000),
    _river("PageHinkley", 50, 20_000),
    _river("KSWIN", 10, 500),
)
