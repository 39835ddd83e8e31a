"""Print figures for people, and write them for programs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from statistics import median

import orjson
from rich.console import Console
from rich.table import Table

from benchmarks.summary import Figure, Row

FORMATS = {"ratio": ".2f", "s": ".2f", "count": ",.0f", "ms": ",.0f"}
VERDICT = {True: "[green]yes[/]", False: "[red]no[/]", None: ""}
KINDS = {"closed": "closed loop", "single": "1 connection", "open": "fixed rate"}


def show(
    console: Console, machine: Mapping[str, str], rows: Sequence[Row], figures: Sequence[Figure]
) -> None:
    """Print what the figures were taken on, then what was measured, then the figures."""
    console.print("  ".join(f"{name} {value}" for name, value in machine.items()), style="dim")
    for workload, kind in dict.fromkeys((row.workload, row.kind) for row in rows):
        _rows(console, f"{workload}, {KINDS[kind]}", rows, (workload, kind))
    if figures:
        _figures(console, figures)


def _rows(console: Console, title: str, rows: Sequence[Row], which: tuple[str, str]) -> None:
    table = Table("contestant", title=title, title_justify="left")
    for heading in ("requests/s", "p50 µs", "p99 µs", "processor µs", "Weir's rate", "Weir's µs"):
        table.add_column(heading, justify="right")
    for row in rows:
        if (row.workload, row.kind) == which:
            table.add_row(
                row.contestant,
                spread(row.requests_per_s, ",.0f"),
                spread(row.p50_us, ",.0f"),
                spread(row.p99_us, ",.0f"),
                spread(row.processor_us, ",.1f"),
                spread(row.weir_requests, ".2f"),
                spread(row.weir_processor, ".2f"),
            )
    console.print(table)


def _figures(console: Console, figures: Sequence[Figure]) -> None:
    table = Table("figure", "unit")
    for heading in ("median (min .. max)", "each", "target"):
        table.add_column(heading, justify="right", overflow="fold")
    table.add_column("reached")
    for figure in figures:
        number = FORMATS.get(figure.unit, ",.0f")
        table.add_row(
            figure.name,
            figure.unit,
            spread(figure.values, number),
            " ".join(format(value, number) for value in figure.values),
            target(figure),
            VERDICT[figure.reached],
        )
    console.print(table)


def spread(values: Sequence[float], number: str) -> str:
    """The median with the least and greatest, or a dash for nothing."""
    if not values:
        return "-"
    middle = format(median(values), number)
    if len(values) == 1:
        return middle
    return f"{middle} ({min(values):{number}} .. {max(values):{number}})"


def target(figure: Figure) -> str:
    """What a figure is held to, in words."""
    if figure.target is None:
        return ""
    return f"{figure.target.judged} {figure.target.bound} {figure.target.limit:g}"


def write(path: Path, content: Mapping[str, object]) -> None:
    """Write figures, and the samples they come from, as JSON."""
    path.write_bytes(orjson.dumps(content, option=orjson.OPT_INDENT_2) + b"\n")
