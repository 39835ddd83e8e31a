"""How often the intervals of fairness hold the truth, and who alarms on equal groups.

`python -m benchmarks.fairness` takes some minutes on one core and writes the tables of
`docs/fairness.md`.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import product
from math import log
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from scipy import stats

from benchmarks import page
from monitors.stats.anytime_gaps import Allowed, anytime_gap, log_evidence, log_mixture
from monitors.stats.anytime_shares import anytime_share
from monitors.stats.intervals import newcombe, wilson

PAGE = Path(__file__).parents[1] / "docs" / "fairness.md"
AUDITS = 2000
SIZES = (30, 50, 100, 200, 500, 1000)
RATES = (0.1, 0.3, 0.6)
GAPS = (0.0, 0.1, 0.2)
TIMES = (1, 4)
"""The other group has as many rows, or four times as many."""
LOOKS = 20
BAND = 0.1
BUDGET = 0.01
KNOWN = 500
"""Rows of each group in a reference that was decided alike."""

Counts = NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Cell:
    """Two groups: the rows of the first, how many times as many the other has, and their rates."""

    rows: int
    times: int
    first: float
    second: float


@dataclass(frozen=True, slots=True)
class Found:
    """Of a cell's audits, the share that each figure holds in."""

    cell: Cell
    newcombe: float
    anytime: float
    alarms: float
    at_the_edge: float
    four_fifths: float
    outside_once: float


def audits(cell: Cell, seed: int, runs: int = AUDITS) -> tuple[Counts, Counts]:
    """Hits and rows of both groups at each look, (audits, looks, 2), as they grow."""
    rng = np.random.default_rng([1973, seed, cell.rows, cell.times])
    each = []
    for rate, rows in ((cell.first, cell.rows), (cell.second, cell.rows * cell.times)):
        ends = np.unique(np.linspace(0, rows, LOOKS + 1).round().astype(np.int64))
        more = np.diff(ends)
        hits = rng.binomial(more, rate, (runs, len(more))).cumsum(axis=1)
        each.append(np.stack([hits, np.broadcast_to(ends[1:], hits.shape)], axis=2))
    return each[0], each[1]


def measure(cell: Cell, seed: int, runs: int = AUDITS) -> Found:
    """All figures of one cell."""
    first, second = audits(cell, seed, runs)
    truth = cell.first - cell.second
    last = [
        newcombe(a, b) for a, b in zip(first[:, -1].tolist(), second[:, -1].tolist(), strict=True)
    ]
    lower, upper = np.array(last).T
    won = log_mixture(first) + log_mixture(second)
    low, high = anytime_gap(first, second, won)
    log_e = log_evidence(first, second, won, Allowed(gap=BAND))
    edge = log_evidence(first, second, won, Allowed(gap=abs(truth) or BAND))
    shares = first[:, -1, 0] / first[:, -1, 1], second[:, -1, 0] / second[:, -1, 1]
    return Found(
        cell,
        newcombe=float(((lower <= truth) & (truth <= upper)).mean()),
        anytime=float(((low <= truth) & (truth <= high)).all(axis=1).mean()),
        alarms=float((log_e >= -log(BUDGET)).any(axis=1).mean()),
        at_the_edge=float((edge >= -log(BUDGET)).any(axis=1).mean()),
        four_fifths=float((np.minimum(*shares) < 0.8 * np.maximum(*shares)).mean()),
        outside_once=float(((lower > BAND) | (upper < -BAND)).mean()),
    )


def cells() -> Iterator[Cell]:
    """Every cell of the simulation."""
    for rows, times, rate, gap in product(SIZES, TIMES, RATES, GAPS):
        yield Cell(rows, times, rate + gap, rate)


def exact_newcombe(cell: Cell) -> float:
    """The chance that Newcombe's interval holds the truth: a sum over all that may come.

    What is less likely than a part in a million is left out, and counted as not held.
    """
    sides = []
    for rate, rows in ((cell.first, cell.rows), (cell.second, cell.rows * cell.times)):
        low, high = stats.binom.interval(1 - 1e-6, rows, rate)
        hits = np.arange(low, high + 1)
        sides.append((hits, rows, stats.binom.pmf(hits, rows, rate)))
    (hits, rows, chances), (others, all_others, their_chances) = sides
    share, below, above = _wilson(hits[:, None], rows)
    theirs, their_below, their_above = _wilson(others[None, :], all_others)
    gap, truth = share - theirs, cell.first - cell.second
    lower = gap - np.sqrt((share - below) ** 2 + (their_above - theirs) ** 2)
    upper = gap + np.sqrt((above - share) ** 2 + (theirs - their_below) ** 2)
    return float(chances @ ((lower <= truth) & (truth <= upper)) @ their_chances)


def _wilson(hits: NDArray[np.float64], rows: int) -> tuple[NDArray[np.float64], ...]:
    """Shares and their Wilson intervals."""
    bounds = np.array([wilson(each, rows) for each in hits.ravel().tolist()]).T
    return hits / rows, bounds[0].reshape(hits.shape), bounds[1].reshape(hits.shape)


def coverage(found: Sequence[Found]) -> Iterator[str]:
    """Over all rates and sizes of the other group, by the rows of the smaller one."""
    yield (
        "| rows of the group | cells | Newcombe, least | by a sum, least | Newcombe, mean "
        "| by a sum, mean | at every look, least |"
    )
    yield "| --- | --- | --- | --- | --- | --- | --- |"
    exact = {each.cell: exact_newcombe(each.cell) for each in found}
    for rows in (*SIZES, None):
        those = [each for each in found if rows in (None, each.cell.rows)]
        plain, sums = [each.newcombe for each in those], [exact[each.cell] for each in those]
        yield (
            f"| {rows or 'all'} | {len(those)} | {min(plain):.1%} | {min(sums):.1%} "
            f"| {np.mean(plain):.1%} | {np.mean(sums):.1%} "
            f"| {min(each.anytime for each in those):.1%} |"
        )


def alarms(found: Sequence[Found]) -> Iterator[str]:
    """Equal groups of equal size at a rate of 0.3."""
    yield "| rows of each group | four-fifths rule, last look | Weir, ever | at the edge, ever |"
    yield "| --- | --- | --- | --- |"
    for rows in SIZES:
        equal = _one(found, Cell(rows, 1, 0.3, 0.3))
        edge = _one(found, Cell(rows, 1, 0.3 + BAND, 0.3))
        yield (
            f"| {rows} | {equal.four_fifths:.1%} | {equal.alarms:.2%} | {edge.at_the_edge:.2%} |"
        )
    equals = [each for each in found if each.cell.first == each.cell.second]
    edges = [each for each in found if each.cell.first != each.cell.second]
    yield (
        f"| the worst of all cells | {max(each.four_fifths for each in equals):.1%} | "
        f"{max(each.alarms for each in equals):.2%} | "
        f"{max(each.at_the_edge for each in edges):.2%} |"
    )


def proved(cell: Cell, known: int, runs: int = AUDITS) -> float:
    """How often a gap is proved where the reference has so many rows of each group."""
    first, second = audits(cell, 0, runs)
    priors = [np.array([round(rate * known), known]) for rate in (cell.first, cell.second)]
    won = log_mixture(first, priors[0]) + log_mixture(second, priors[1])
    log_e = log_evidence(first, second, won, Allowed(gap=BAND))
    return float((log_e >= -log(BUDGET)).any(axis=1).mean())


def power(found: Sequence[Found]) -> Iterator[str]:
    """Groups that differ by more than is allowed, at 0.3 and above."""
    yield "| rows of each group | rates | outside at one look | proved | proved, with a reference |"
    yield "| --- | --- | --- | --- | --- |"
    for rows in SIZES:
        each = _one(found, Cell(rows, 1, 0.3 + 0.2, 0.3))
        known = proved(each.cell, KNOWN)
        yield (
            f"| {rows} | 0.5 and 0.3 | {each.outside_once:.0%} | {each.alarms:.0%} | {known:.0%} |"
        )
    for rows in SIZES[:-2]:
        cell = Cell(rows, 1, 0.3 + 0.3, 0.3)
        each = measure(cell, 0)
        known = proved(cell, KNOWN)
        yield (
            f"| {rows} | 0.6 and 0.3 | {each.outside_once:.0%} | {each.alarms:.0%} | {known:.0%} |"
        )


def widths(_: Sequence[Found]) -> Iterator[str]:
    """Half the width of intervals of a difference of nothing."""
    yield "| rows of each group | Newcombe | at every look | two anytime shares at half the alpha |"
    yield "| --- | --- | --- | --- |"
    for rows in SIZES:
        one = np.array([round(0.3 * rows), rows])
        low, high = anytime_gap(one, one, 2 * log_mixture(one))
        share = anytime_share(float(one[0]), rows, 0.025)
        plain = newcombe((one[0], one[1]), (one[0], one[1]))
        yield (
            f"| {rows} | {(plain[1] - plain[0]) / 2:.3f} | {float(high - low) / 2:.3f} | "
            f"{share[1] - share[0]:.3f} |"
        )


def _one(found: Sequence[Found], cell: Cell) -> Found:
    return next(each for each in found if each.cell == cell)


TABLES = {"coverage": coverage, "alarms": alarms, "power": power, "widths": widths}


def write(found: Sequence[Found], path: Path) -> None:
    """Write every table into the page; `ValueError` if it has no place for one."""
    text = path.read_text(encoding="utf-8")
    for name, table in TABLES.items():
        marks = [
            f"<!-- written by benchmarks/fairness, {name}: {end} -->" for end in ("begin", "end")
        ]
        lines = "\n".join(["", *table(found), ""])
        text = page.placed(text, f"the table of {name} needs", marks[0], marks[1], lines)
    path.write_text(text, encoding="utf-8")


def main() -> int:
    """Simulate all cells and write the tables."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.fairness", description=__doc__)
    parser.add_argument("--audits", type=int, default=AUDITS)
    parser.add_argument("--page", type=Path, default=PAGE)
    asked = parser.parse_args()
    found = []
    for seed, cell in enumerate(cells()):
        found.append(measure(cell, seed, asked.audits))
        print(found[-1], flush=True)
    write(found, asked.page)
    return 0


if __name__ == "__main__":
    sys.exit(main())
