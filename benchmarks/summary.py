"""From samples to figures: medians, spreads, ratios by round, and whether a target is reached."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from operator import attrgetter
from statistics import median
from typing import Literal

from benchmarks.lifecycle import Life
from benchmarks.replacement import Outcome
from benchmarks.throughput import CONNECTIONS, Sample

WEIR, UNRECORDED, BASELINE = "weir", "weir-recorder-off", "fastapi"


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


def of_throughput(samples: Sequence[Sample]) -> list[Figure]:
    """Throughput and p50 of every contestant."""
    names = dict.fromkeys(sample.contestant for sample in samples)
    rates = [
        Figure(
            f"{name}, {CONNECTIONS} connections",
            "requests/s",
            _rounds(samples, name, "requests_per_s"),
        )
        for name in names
    ]
    waits = [
        Figure(f"{name}, p50 at 1 connection", "µs", _rounds(samples, name, "p50_us"))
        for name in names
    ]
    return rates + waits


def of_ratios(samples: Sequence[Sample]) -> list[Figure]:
    """One contestant over another, round by round; only of contestants that were measured."""
    wanted = (
        ("throughput", "requests_per_s", WEIR, BASELINE, Target("median", "at least", 1.8)),
        ("p50 at 1 connection", "p50_us", WEIR, BASELINE, Target("median", "at most", 1.3)),
        ("throughput", "requests_per_s", WEIR, UNRECORDED, Target("median", "at least", 0.94)),
    )
    figures = []
    for what, attribute, above, below, target in wanted:
        tops, bottoms = _rounds(samples, above, attribute), _rounds(samples, below, attribute)
        if tops and bottoms:
            values = tuple(top / bottom for top, bottom in zip(tops, bottoms, strict=True))
            figures.append(Figure(f"{what}, {above} / {below}", "ratio", values, target))
    return figures


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


def _rounds(samples: Sequence[Sample], contestant: str, attribute: str) -> tuple[float, ...]:
    """The values of a contestant in the order of the rounds, whatever its turn in each."""
    mine = [sample for sample in samples if sample.contestant == contestant]
    value = attrgetter(attribute)
    return tuple(float(value(sample)) for sample in sorted(mine, key=attrgetter("round")))
