"""Writes the tables of `docs/monitoring-accuracy.md`: `python -m benchmarks.accuracy.report JSON`.

Each table goes between two comments of its own; the rest of the page is left alone.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from statistics import median

from benchmarks import environments, page
from benchmarks.accuracy import costs
from benchmarks.accuracy.contestants import CONTESTANTS, PINS
from benchmarks.accuracy.figures import Alarmed, Delay, limit
from benchmarks.accuracy.results import Results
from benchmarks.accuracy.streams import CHANGING, CLEAN, RHYTHMIC, SCENARIOS
from benchmarks.accuracy.targets import held, rows
from benchmarks.accuracy.weir import (
    BOTH,
    BROKEN_EVIDENCE,
    BY_HOUR,
    BY_HOUR_EVIDENCE,
    EFFECT,
    EVIDENCE,
)
from benchmarks.machine import describe

PAGE = Path(__file__).parents[2] / "docs" / "monitoring-accuracy.md"
DISTRIBUTIONS = ("evidently", "nannyml", "alibi-detect", "river")
NAMES = (BOTH, EVIDENCE, EFFECT, *(each.name for each in CONTESTANTS))

Table = Callable[[Results], Iterator[str]]


def write(results: Results, path: Path = PAGE) -> None:
    """Write every table into the page; `ValueError` if it has no place for one."""
    text = path.read_text(encoding="utf-8")
    for name, table in TABLES.items():
        text = placed(text, name, "\n".join(["", *table(results), ""]))
    path.write_text(text, encoding="utf-8")


def placed(text: str, name: str, table: str) -> str:
    """A page with a table between its two comments."""
    marks = [f"<!-- written by benchmarks/accuracy, {name}: {end} -->" for end in ("begin", "end")]
    begin, end = marks
    return page.placed(text, f"the table of {name} needs", begin, end, table)


def conditions(_: Results) -> Iterator[str]:
    """The machine, and the versions of the libraries."""
    machine = describe()
    kind = "virtual processors" if machine["virtual"] == "yes" else "processors"
    yield (
        f"{machine['cores']} {kind}, {machine['system'].split()[0]}, Python {machine['Python']}, "
        "one core for each process; others used the machine too. "
        f"Versions: {', '.join(_versions())}."
    )


def _versions() -> Iterator[str]:
    for name in environments.names(PINS):
        for line in (PINS / f"{name}.txt").read_text(encoding="utf-8").splitlines():
            package, _, version = line.partition("==")
            if package in DISTRIBUTIONS:
                yield f"{package} {version}"


def settings(_: Results) -> Iterator[str]:
    """How the libraries were set up, and how many streams each was shown."""
    yield from _head("contestant", "how", "clean streams", "with a rhythm", "that change")
    for each in CONTESTANTS:
        counts = (str(count) for count in (each.clean, each.rhythmic, each.changing))
        yield _row(each.name, each.about, *counts)


def targets(results: Results) -> Iterator[str]:
    """What Weir is held to."""
    yield from _head("figure", "measured", "target", "reached")
    verdicts = {True: "yes", False: "**no**", None: ""}
    for each in held(results):
        yield _row(each.what, each.figure, each.target, verdicts[each.reached])


def clean(results: Results) -> Iterator[str]:
    """Runs with any alarm where there is nothing to find."""
    scenarios = [scenario.name for scenario in (*CLEAN, *RHYTHMIC)]
    yield from _head("contestant", *scenarios, "row of the first alarm, independent")
    for name in (*NAMES[:3], BY_HOUR, BY_HOUR_EVIDENCE, BROKEN_EVIDENCE, *NAMES[3:]):
        cells = [_alarmed(results, name, scenario) for scenario in scenarios]
        if any(cell != "-" for cell in cells):
            first = Alarmed.of(results.runs(name, "independent")).first
            yield _row(name, *cells, rows(first))


def changes(results: Results) -> Iterator[str]:
    """Rows until a change was found, and in how many streams it was."""
    yield from _head("contestant", *(scenario.name for scenario in CHANGING))
    limits = [limit(each.information) if each.information else None for each in CHANGING]
    yield _row("*who knows the change*", *(rows(each) for each in limits))
    for name in NAMES:
        cells = [_delay(results, name, scenario.name) for scenario in CHANGING]
        if any(cell != "-" for cell in cells):
            yield _row(name, *cells)


def cost(results: Results) -> Iterator[str]:
    """Processor time and memory."""
    yield from _head(
        "contestant",
        "processor seconds a million rows",
        "over Weir's",
        "rows timed",
        "MB added by the monitor",
        "MB of the library and the rows",
    )
    ours = _seconds(results, BOTH)
    everybody = (
        *(each.name for each in (costs.WEIR, costs.SELDOM, costs.WHOLE)),
        *(each.name for each in CONTESTANTS),
    )
    for name in everybody:
        taken = results.costs(name)
        if not taken:
            continue
        seconds = _seconds(results, name)
        yield _row(
            name,
            f"{seconds:,.1f}",
            f"{seconds / ours:,.1f}" if ours else "-",
            f"{taken[0].rows:,}",
            f"{max(each.added_mb for each in taken):,.0f}",
            f"{max(each.loaded_mb for each in taken):,.0f}",
        )


def missing(results: Results) -> Iterator[str]:
    """What could not be measured."""
    for each in results.missing():
        yield f"- not measured: {each.contestant}, {each.what}: {each.reason}"


TABLES: dict[str, Table] = {
    "conditions": conditions,
    "targets": targets,
    "settings": settings,
    "clean": clean,
    "changes": changes,
    "cost": cost,
    "missing": missing,
}


def _seconds(results: Results, name: str) -> float:
    taken = [each.seconds_a_million for each in results.costs(name)]
    return median(taken) if taken else 0.0


def _alarmed(results: Results, name: str, scenario: str) -> str:
    runs = results.runs(name, scenario)
    if not runs:
        return "-"
    alarmed = Alarmed.of(runs)
    return f"{alarmed.hits} / {alarmed.runs:,} (≤ {alarmed.at_most:.1%})"


def _delay(results: Results, name: str, scenario: str) -> str:
    runs = results.runs(name, scenario)
    if not runs:
        return "-"
    delay = Delay.of(runs)
    found = f"{delay.hits / delay.runs:.0%}"
    if not SCENARIOS[scenario].information:
        return found
    return f"{rows(delay.median)} ({rows(delay.late)}), {found}"


def _head(*names: str) -> Iterator[str]:
    yield _row(*names)
    yield _row(*("---" for _ in names))


def _row(*cells: str) -> str:
    return f"| {' | '.join(cells)} |"


def main(arguments: Sequence[str] | None = None) -> int:
    """Write the tables from what an earlier run has measured."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.accuracy.report")
    parser.add_argument("json", type=Path, help="what benchmarks.accuracy has written")
    parser.add_argument("--page", type=Path, default=PAGE)
    asked = parser.parse_args(arguments)
    write(Results(asked.json), asked.page)
    return 0


if __name__ == "__main__":
    sys.exit(main())
