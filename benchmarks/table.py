"""Print figures for people, and write them for programs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import orjson
from rich.console import Console
from rich.table import Table

from benchmarks.summary import Figure

FORMATS = {"requests/s": ",.0f", "µs": ",.0f", "ratio": ".2f", "s": ".2f", "count": ",.0f"}
VERDICT = {True: "[green]yes[/]", False: "[red]no[/]", None: ""}


def show(console: Console, machine: Mapping[str, str], figures: Sequence[Figure]) -> None:
    """Print what the figures were taken on, then the figures."""
    console.print("  ".join(f"{name} {value}" for name, value in machine.items()), style="dim")
    table = Table("figure", "unit")
    for heading in ("median", "min .. max", "each", "target"):
        table.add_column(heading, justify="right", overflow="fold")
    table.add_column("reached")
    for figure in figures:
        number = FORMATS.get(figure.unit, ",.0f")
        table.add_row(
            figure.name,
            figure.unit,
            format(figure.median, number),
            f"{min(figure.values):{number}} .. {max(figure.values):{number}}",
            " ".join(format(value, number) for value in figure.values),
            _target(figure),
            VERDICT[figure.reached],
        )
    console.print(table)


def write(path: Path, content: Mapping[str, object]) -> None:
    """Write figures, and the samples they come from, as JSON."""
    path.write_bytes(orjson.dumps(content, option=orjson.OPT_INDENT_2) + b"\n")


def _target(figure: Figure) -> str:
    if figure.target is None:
        return ""
    return f"{figure.target.judged} {figure.target.bound} {figure.target.limit:g}"
