"""From samples to figures: medians, spreads, ratios by round, and whether a target is reached."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from operator import attrgetter
from statistics import median
from typing import Literal

from benchmarks.compare import Kind, Sample
from benchmarks.field import APART, FASTAPI, FLOOR, INTERPRETED, TRITON, UNRECORDED, WEIR
from benchmarks.lifecycle import Life
from benchmarks.replacement import Outcome

Measure = Literal["requests_per_s", "p50_us", "p99_us", "processor_us"]


@dataclass(frozen=True, slots=True)
class Target:
    """What the median, or the worst value, of a figure is held to."""

    judged: Literal["median", "worst"]
    bound: Literal["at least", "at most"]
    limit: float


@dataclass(frozen=True, slots=True)
class Figure:
    """One figure with all of its values, one a round or repetition."""

    name: str
    unit: str
    values: tuple[float, ...]
    target: Target | None = None

    @property
    def median(self) -> float:
        """The middle of the values."""
        return median(self.values)

    @property
    def reached(self) -> bool | None:
        """Whether the target is reached; None without one."""
        if self.target is None:
            return None
        more = self.target.bound == "at least"
        worst = min(self.values) if more else max(self.values)
        value = self.median if self.target.judged == "median" else worst
        return value >= self.target.limit if more else value <= self.target.limit


@dataclass(frozen=True, slots=True)
class Row:
    """One contestant under one load, with the ratios of Weir to it within each round."""

    contestant: str
    workload: str
    kind: Kind
    requests_per_s: tuple[float, ...]
    p50_us: tuple[float, ...]
    p99_us: tuple[float, ...]
    processor_us: tuple[float, ...]
    weir_requests: tuple[float, ...]
    weir_processor: tuple[float, ...]


@dataclass(frozen=True, slots=True)
class _Ratio:
    """A figure of the comparison: one contestant's measure over another's."""

    name: str
    measure: Measure
    kind: Kind
    above: tuple[str, str]
    below: tuple[str, str]
    bound: Literal["at least", "at most"]
    limit: float


def _ratios() -> list[_Ratio]:
    """The figures that the comparison is held to."""
    row, block, packed = "row-json", "block-json", "block-binary"
    wanted = [
        _Ratio(
            f"requests/s, {row}, weir / {name}",
            "requests_per_s",
            "closed",
            (WEIR, row),
            (name, row),
            "at least",
            limit,
        )
        for name, limit in ((FASTAPI, 2.2), (FLOOR, 0.9), ("mlserver", 9), ("kserve", 11))
    ]
    weir, fastapi = (WEIR, row), (FASTAPI, row)
    requests: Measure = "requests_per_s"
    triton, off = (TRITON, row), (UNRECORDED, row)
    json, binary, mlserver = (WEIR, block), (WEIR, packed), ("mlserver", block)
    return [
        *wanted,
        _Ratio(
            f"requests/s, {row}, weir / triton", requests, "closed", weir, triton, "at least", 5
        ),
        _Ratio(
            f"processor time a request, {row}, weir / fastapi",
            "processor_us",
            "closed",
            weir,
            fastapi,
            "at most",
            0.8,
        ),
        _Ratio(
            "p50 at 1 connection, weir / fastapi", "p50_us", "single", weir, fastapi, "at most", 1.0
        ),
        _Ratio(
            "p99 at 1 connection, weir / fastapi", "p99_us", "single", weir, fastapi, "at most", 1.2
        ),
        _Ratio(
            f"requests/s, {block}, weir / mlserver",
            requests,
            "closed",
            json,
            mlserver,
            "at least",
            3,
        ),
        _Ratio(
            f"requests/s, {packed}, weir / mlserver's {block}",
            requests,
            "closed",
            binary,
            mlserver,
            "at least",
            8,
        ),
        _Ratio(
            f"requests/s, {row}, recorder on / off", requests, "closed", weir, off, "at least", 0.95
        ),
    ]


def of_ratios(samples: Sequence[Sample]) -> list[Figure]:
    """One contestant over another, round by round; only of what was measured."""
    figures = []
    for one in _ratios():
        values = by_round(samples, one.kind, one.above, one.below, attrgetter(one.measure))
        if values:
            target = Target("median", one.bound, one.limit)
            figures.append(Figure(one.name, "ratio", values, target))
    return figures


def of_field(samples: Sequence[Sample], model_bound: Sequence[str]) -> list[Figure]:
    """Weir against the best of the others in each workload, round by round.

    It is to be ahead of all but the floor; where the model's own time dominates, within 5 %.
    """
    figures = []
    for workload in dict.fromkeys(sample.workload for sample in samples):
        values = []
        mine = [s for s in samples if s.workload == workload and s.kind == "closed"]
        for number in sorted({sample.round for sample in mine}):
            now = {s.contestant: s.requests_per_s for s in mine if s.round == number}
            ours = (WEIR, UNRECORDED, INTERPRETED, APART, FLOOR)
            others = [rate for name, rate in now.items() if name not in ours]
            if WEIR in now and others:
                values.append(now[WEIR] / max(others))
        if values:
            limit = 0.95 if workload in model_bound else 1.0
            name = f"requests/s, {workload}, weir / the best other"
            target = Target("median", "at least", limit)
            figures.append(Figure(name, "ratio", tuple(values), target))
    return figures


def by_round(
    samples: Sequence[Sample],
    kind: Kind,
    above: tuple[str, str],
    below: tuple[str, str],
    value: Callable[[Sample], float],
) -> tuple[float, ...]:
    """The ratios of two contestants (each with its workload) within the rounds that have both."""
    tops, bottoms = (
        {s.round: value(s) for s in samples if (s.contestant, s.workload) == who and s.kind == kind}
        for who in (above, below)
    )
    return tuple(tops[number] / bottoms[number] for number in sorted(tops) if number in bottoms)


def rows(samples: Sequence[Sample]) -> list[Row]:
    """One row for each contestant under each load, in the order in which they were measured."""
    keys = dict.fromkeys((s.workload, s.kind, s.contestant) for s in samples)
    found = []
    for workload, kind, name in keys:
        mine = [s for s in samples if (s.workload, s.kind, s.contestant) == (workload, kind, name)]
        weir, it = (WEIR, workload), (name, workload)
        found.append(
            Row(
                name,
                workload,
                kind,
                tuple(s.requests_per_s for s in mine),
                tuple(s.p50_us for s in mine),
                tuple(s.p99_us for s in mine),
                tuple(s.processor_us for s in mine),
                by_round(samples, kind, weir, it, lambda s: s.requests_per_s),
                by_round(samples, kind, weir, it, lambda s: s.processor_us),
            )
        )
    return found


def of_lives(lives: Sequence[Life]) -> list[Figure]:
    """Start and stop; the targets hold for the slowest."""
    if not lives:
        return []
    ready = tuple(life.ready_s for life in lives)
    answer = tuple(life.answer_s for life in lives)
    gone = tuple(life.gone_s for life in lives)
    return [
        Figure("weir up: ready", "s", ready, Target("worst", "at most", 10.0)),
        Figure("weir up: first answer of the model", "s", answer),
        Figure("SIGTERM: gone", "s", gone, Target("worst", "at most", 5.0)),
    ]


def of_outcomes(outcomes: Sequence[Outcome]) -> list[Figure]:
    """What clients noticed of each kind of change; not one request may fail."""
    figures = []
    for change in dict.fromkeys(outcome.change for outcome in outcomes):
        same = [outcome for outcome in outcomes if outcome.change == change]
        failed = tuple(float(sum(outcome.failures.values())) for outcome in same)
        longest = tuple(outcome.longest_s * 1e3 for outcome in same)
        figures += [
            Figure(f"{change}: requests", "count", tuple(float(one.requests) for one in same)),
            Figure(f"{change}: failed", "count", failed, Target("worst", "at most", 0.0)),
            Figure(f"{change}: longest wait", "ms", longest),
        ]
    return figures
