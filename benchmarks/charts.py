"""Charts of what a request costs as something grows, for `docs/performance.md`.

GitHub draws them (Mermaid). Each goes between two comments of its own; what was not measured again
is left alone.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from math import ceil
from statistics import median

from benchmarks import page
from benchmarks.table import spread

MISSING = "missing"
UNIT = "processor µs a request"


@dataclass(frozen=True, slots=True)
class Thing:
    """What grows: its name, what a chart says of it, its sizes, and the loads at each of them.

    The first load is drawn as a line, a second one as bars: nothing else tells them apart there.
    """

    name: str
    title: str
    sizes: tuple[int, ...]
    loads: tuple[str, ...]
    priced: bool = False
    """Whether each further one has a price that is worth telling."""


EACH, ONE = "each asked in turn", "only one asked"
THINGS = (
    Thing("models", "models that are registered", (1, 10, 50, 200), (EACH, ONE)),
    Thing("features", "features of the one model", (10, 30, 100, 300, 1000), ("asked",), True),
    Thing("versions", "versions with equal shares of the traffic", (1, 2, 4), ("asked",)),
    Thing("replicas", "host replicas of the one version", (1, 2, 4), ("asked",)),
)


@dataclass(frozen=True, slots=True)
class Sample:
    """One load in one round: the processor time of all of the server's processes a request."""

    thing: str
    size: int
    load: str
    round: int
    processor_us: float
    requests_per_s: float


@dataclass(frozen=True, slots=True)
class Missing:
    """What could not be measured, and why."""

    thing: str
    size: int
    load: str
    round: int
    reason: str


def by_round(thing: Thing, size: int, load: str, samples: Sequence[Sample]) -> dict[int, float]:
    """The processor time of a request in each round in which it was measured."""
    return {
        one.round: one.processor_us
        for one in samples
        if (one.thing, one.size, one.load) == (thing.name, size, load)
    }


def ratios(thing: Thing, load: str, samples: Sequence[Sample]) -> tuple[float, ...]:
    """The last size over the first, each within its round."""
    return tuple(last / first for first, last in _ends(thing, load, samples))


def prices(thing: Thing, load: str, samples: Sequence[Sample]) -> tuple[float, ...]:
    """Nanoseconds that each further one costs from the first size to the last, by round."""
    more = thing.sizes[-1] - thing.sizes[0]
    return tuple(1e3 * (last - first) / more for first, last in _ends(thing, load, samples))


def placed(text_of_page: str, thing: Thing, text: str) -> str:
    """A page with this text between the comments of a thing; `ValueError` if it lacks one."""
    return page.placed(text_of_page, f"the chart of {thing.name} needs", *markers(thing), text)


def markers(thing: Thing) -> tuple[str, str]:
    """The comments between which the chart of a thing is written."""
    name = f"written by benchmarks/charts.py: {thing.name}"
    return f"<!-- {name}: begin -->", f"<!-- {name}: end -->"


def lines(
    thing: Thing,
    samples: Sequence[Sample],
    missing: Sequence[Missing],
    conditions: Mapping[str, str],
) -> Iterator[str]:
    """Heading, chart, table, what grew how much, and what was not measured."""
    yield from ("", f"**By {thing.title}**", "")
    yield from _chart(thing, samples)
    yield from _table(thing, samples)
    yield ""
    for load in thing.loads:
        yield _growth(thing, load, samples)
    yield ""
    yield _said(conditions)
    mine = [one for one in missing if one.thing == thing.name]
    if mine:
        yield from ("", "Not measured:", "")
    for one in mine:
        why = one.reason.splitlines()[0]
        yield f"- {one.size} {thing.name}, {one.load}, round {one.round + 1}: {why}"


def _ends(thing: Thing, load: str, samples: Sequence[Sample]) -> list[tuple[float, float]]:
    """The first and the last size in each round that has both."""
    first, last = (by_round(thing, thing.sizes[at], load, samples) for at in (0, -1))
    return [(first[number], last[number]) for number in sorted(first.keys() & last.keys())]


def _chart(thing: Thing, samples: Sequence[Sample]) -> Iterator[str]:
    """The medians of the sizes that have all loads, if there are two: a chart cannot have gaps."""
    drawn = {}
    for size in thing.sizes:
        values = [tuple(by_round(thing, size, load, samples).values()) for load in thing.loads]
        if all(values):
            drawn[size] = [median(each) for each in values]
    if len(drawn) < 2:
        return
    if len(thing.loads) > 1:
        kinds = zip(("Line", "bars"), thing.loads, strict=True)
        yield from (f"{'; '.join(f'{kind}: {load}' for kind, load in kinds)}.", "")
    sizes = ", ".join(f'"{size:,}"' for size in drawn)
    top = ceil(max(max(each) for each in drawn.values()) * 1.1 / 10) * 10
    yield from ("```mermaid", "xychart-beta")
    yield f'    title "Processor time of a request by {thing.title}"'
    yield f'    x-axis "{thing.name}" [{sizes}]'
    yield f'    y-axis "{UNIT}" 0 --> {top}'
    # The line comes last, so that no bar hides it.
    for at, kind in reversed(list(zip(range(len(thing.loads)), ("line", "bar"), strict=False))):
        yield f"    {kind} [{', '.join(f'{each[at]:.1f}' for each in drawn.values())}]"
    yield from ("```", "")


def _table(thing: Thing, samples: Sequence[Sample]) -> Iterator[str]:
    heads = [UNIT if load == "asked" else f"{UNIT}, {load}" for load in thing.loads]
    yield f"| {thing.name} | {' | '.join(heads)} |"
    yield "|---" * (1 + len(thing.loads)) + "|"
    for size in thing.sizes:
        found = [tuple(by_round(thing, size, load, samples).values()) for load in thing.loads]
        yield f"| {size:,} | {' | '.join(_spread(values, ',.1f') for values in found)} |"


def _growth(thing: Thing, load: str, samples: Sequence[Sample]) -> str:
    """What the last size costs over the first, in a sentence."""
    which = "" if load == "asked" else f", {load}"
    times = _spread(ratios(thing, load, samples), ".2f")
    told = f"{thing.sizes[-1]:,} {thing.name} over {thing.sizes[0]:,}{which}: {times}"
    if thing.priced:
        told += f"; each further value, in ns: {_spread(prices(thing, load, samples), ',.0f')}"
    return f"- {told}."


def _spread(values: Sequence[float], number: str) -> str:
    return spread(values, number) if values else MISSING


def _said(conditions: Mapping[str, str]) -> str:
    kind = "virtual processors" if conditions["virtual"] == "yes" else "processors"
    return (
        f"{conditions['cores']} {kind} ({conditions['processors']}), "
        f"{conditions['system'].split()[0]}, Python {conditions['Python']}; rounds: "
        f"{conditions['rounds']}, of {conditions['seconds']} s. Medians, in brackets the least and "
        "the greatest; the last size over the first, each in the same round."
    )
