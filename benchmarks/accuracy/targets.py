"""What the figures are held to."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from statistics import median

from benchmarks.accuracy import lasting
from benchmarks.accuracy.contestants import EVIDENTLY_COMPARED
from benchmarks.accuracy.figures import Alarmed, Delay, limit
from benchmarks.accuracy.results import Results
from benchmarks.accuracy.streams import SCENARIOS
from benchmarks.accuracy.weir import BOTH, BROKEN_EVIDENCE, EFFECT, EVIDENCE

BUDGET = 0.01
DELAYS = {"shift 0.25": 600, "shift 0.5": 170, "shift 1": 60}
LATER = 1.8
FASTER = 20.0


@dataclass(frozen=True, slots=True)
class Held:
    """A figure, what it must be, and whether it is; `reached` None where there is no target."""

    what: str
    figure: str
    target: str
    reached: bool | None


def held(results: Results) -> Iterator[Held]:
    """Every figure that was measured and has a target, or stands beside one that has."""
    yield from _false_alarms(results)
    yield from _delays(results)
    yield from _late(results)
    yield from _planted(results)
    yield from _cost(results)


def _false_alarms(results: Results) -> Iterator[Held]:
    for gate in (BOTH, EVIDENCE, EFFECT):
        for scenario in ("independent", "correlated", "mixed"):
            if runs := results.runs(gate, scenario):
                alarmed = Alarmed.of(runs)
                yield Held(
                    f"runs with any alarm, nothing changes, {scenario}: {gate}",
                    f"{alarmed.hits} of {alarmed.runs:,}, at most {alarmed.at_most:.2%}",
                    f"at most {BUDGET:.0%} (95 % bound)",
                    alarmed.at_most <= BUDGET,
                )
    if runs := results.runs(BROKEN_EVIDENCE, "independent"):
        alarmed = Alarmed.of(runs)
        yield Held(
            f"the same with an e-process broken on purpose: {EVIDENCE}",
            f"{alarmed.hits} of {alarmed.runs:,}, at least {alarmed.at_least:.2%}",
            f"more than {BUDGET:.0%} (95 % bound)",
            alarmed.at_least > BUDGET,
        )


def _delays(results: Results) -> Iterator[Held]:
    for name, scenario in SCENARIOS.items():
        runs = results.runs(BOTH, name)
        if not scenario.information or not runs:
            continue
        delay = Delay.of(runs)
        most = DELAYS.get(name)
        yield Held(
            f"rows until found, {name}",
            f"median {rows(delay.median)}, 90 % within {rows(delay.late)}; "
            f"limit {limit(scenario.information):,.0f}",
            f"median at most {most}" if most else "stated",
            (delay.median is not None and delay.median <= most) if most else None,
        )


def _late(results: Results) -> Iterator[Held]:
    for size in lasting.SIZES:
        late = Delay.of(results.runs(BOTH, lasting.late(size))).median
        soon = Delay.of(results.runs(BOTH, f"shift {size:g}")).median
        if soon is None or not results.runs(BOTH, lasting.late(size)):
            continue
        ratio = late / soon if late is not None else None
        yield Held(
            f"{lasting.late(size)}, over the same at row 1,000",
            f"median {rows(late)} rows, {f'{ratio:.2f} times' if ratio else 'no ratio'}",
            f"at most {LATER} times",
            ratio is not None and ratio <= LATER,
        )


def _planted(results: Results) -> Iterator[Held]:
    for size, wanted in ((lasting.UNIMPORTANT, 0), (lasting.IMPORTANT, None)):
        runs = results.runs(BOTH, lasting.planted(size))
        if not runs:
            continue
        evident = Delay.of(results.runs(EVIDENCE, lasting.planted(size))).hits
        delay = Delay.of(runs)
        goal = 0 if wanted == 0 else delay.runs
        yield Held(
            f"pages for a {lasting.planted(size)}",
            f"{delay.hits} of {delay.runs} features; {evident} have the evidence",
            "none" if goal == 0 else "all",
            delay.hits == goal,
        )


def _cost(results: Results) -> Iterator[Held]:
    ours = {cost.number: cost for cost in results.costs(BOTH)}
    theirs = {cost.number: cost for cost in results.costs(EVIDENTLY_COMPARED)}
    ratios = [
        theirs[number].seconds_a_million / ours[number].seconds_a_million
        for number in ours.keys() & theirs.keys()
    ]
    if ratios:
        yield Held(
            f"processor time of a million rows, {EVIDENTLY_COMPARED} over Weir",
            f"{median(ratios):.0f} times ({min(ratios):.0f} .. {max(ratios):.0f})",
            f"at least {FASTER:.0f} times",
            median(ratios) >= FASTER,
        )


def rows(delay: float | None) -> str:
    """A number of rows; a dash where there is none."""
    return "-" if delay is None else f"{delay:,.0f}"
