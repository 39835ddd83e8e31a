"""Write what was measured into the documentation: `python -m benchmarks.report figures.json`.

The tables go between two comments of `docs/performance.md`; the rest of the page is left alone.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import orjson

from benchmarks import page
from benchmarks.environments import SERVERS
from benchmarks.summary import Figure, Target
from benchmarks.table import FORMATS, KINDS, spread, target

PAGE = Path(__file__).parent.parent / "docs" / "performance.md"
BEGIN = "<!-- written by benchmarks/report.py: begin -->"
END = "<!-- written by benchmarks/report.py: end -->"

Measured = Mapping[str, Any]


def main(arguments: Sequence[str] | None = None) -> int:
    """Write the tables; gives 1 if the page has no place for them."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.report", description=__doc__)
    parser.add_argument("figures", type=Path, help="what --json of benchmarks.figures has written")
    parser.add_argument("--page", type=Path, default=PAGE)
    args = parser.parse_args(arguments)
    measured = orjson.loads(args.figures.read_bytes())
    try:
        written = placed(args.page.read_text(encoding="utf-8"), "\n".join(lines(measured)))
    except ValueError as failure:
        print(f"{args.page}: {failure}")
        return 1
    args.page.write_text(written, encoding="utf-8")
    return 0


def placed(text_of_page: str, tables: str) -> str:
    """A page with the tables between its two comments; `ValueError` if it lacks one."""
    return page.placed(text_of_page, "the tables need", BEGIN, END, tables)


def lines(measured: Measured) -> Iterator[str]:
    """The tables, line by line."""
    yield from _conditions(measured["machine"])
    yield from _figures(measured["figures"])
    rows = measured["rows"]
    for workload, kind in dict.fromkeys((row["workload"], row["kind"]) for row in rows):
        title = measured["workloads"][workload]
        mine = [row for row in rows if (row["workload"], row["kind"]) == (workload, kind)]
        yield from _rows(f"{title}, {KINDS[kind]}", mine, _without(measured, mine))
    if measured["missing"]:
        yield from ("", "Not measured:", "")
    for one in measured["missing"]:
        why = one["reason"].splitlines()[0]
        yield f"- {one['contestant']}, {one['workload']}, round {one['round'] + 1}: {why}"


def _conditions(machine: Mapping[str, str]) -> Iterator[str]:
    kind = "virtual processors" if machine["virtual"] == "yes" else "processors"
    system = machine["system"].split()[0]
    rate = machine.get("rate of the open loop")
    yield ""
    yield (
        f"{machine['cores']} {kind} ({machine['processors']}), {system}, "
        f"Python {machine['Python']}; {machine['rounds']} rounds of {machine['seconds']} s for "
        "each load. Medians, in brackets the least and the greatest. The ratios are Weir's figure "
        "over the contestant's in the same round." + (f" Fixed rate: {rate}." if rate else "")
    )
    pinned = [f"{name} {machine[name]}" for name in sorted(SERVERS) if name in machine]
    if pinned:
        yield from ("", f"Versions: {', '.join(pinned)}.")


def _figures(figures: Sequence[Mapping[str, Any]]) -> Iterator[str]:
    if not figures:
        return
    yield from ("", "| figure | median (min .. max) | target | reached |", "|---|---|---|---|")
    for told in figures:
        held = Target(**told["target"]) if told["target"] else None
        figure = Figure(told["name"], told["unit"], tuple(told["values"]), held)
        unit = "" if figure.unit in ("ratio", "count") else f" {figure.unit}"
        values = spread(figure.values, FORMATS.get(figure.unit, ",.0f")) + unit
        reached = {True: "yes", False: "**no**", None: ""}[figure.reached]
        yield f"| {figure.name} | {values} | {target(figure)} | {reached} |"


def _rows(title: str, rows: Sequence[Mapping[str, Any]], without: Sequence[str]) -> Iterator[str]:
    yield from ("", f"**{title}**", "")
    yield (
        "| contestant | requests/s | p50 µs | p99 µs | processor µs a request "
        "| Weir's requests/s, ratio | Weir's processor time, ratio |"
    )
    yield "|---|---|---|---|---|---|---|"
    for row in rows:
        cells = [
            row["contestant"],
            spread(row["requests_per_s"], ",.0f"),
            spread(row["p50_us"], ",.0f"),
            spread(row["p99_us"], ",.0f"),
            spread(row["processor_us"], ",.0f"),
            spread(row["weir_requests"], ".2f"),
            spread(row["weir_processor"], ".2f"),
        ]
        yield f"| {' | '.join(cells)} |"
    for name in without:
        yield f"| {name} | - | - | - | - | - | - |"


def _without(measured: Measured, rows: Sequence[Mapping[str, Any]]) -> Sequence[str]:
    """Who was measured or tried elsewhere, and has nothing here."""
    everyone = [one["contestant"] for one in (*measured["rows"], *measured["missing"])]
    here = {row["contestant"] for row in rows}
    return [name for name in dict.fromkeys(everyone) if name not in here]


if __name__ == "__main__":
    sys.exit(main())
