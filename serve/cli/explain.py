"""`weir explain`: what each feature adds to the score of the rows of a request."""

from __future__ import annotations

from typing import IO, TYPE_CHECKING, Any
from urllib.parse import quote

import click
import orjson

from serve.cli.options import as_json, inference_port

if TYPE_CHECKING:
    from rich.console import Console

    from serve.cli.printing import Cell
    from serve.control.connection import Connection

_BAR = 20


@click.command()
@click.argument("name")
@click.argument("file", type=click.File("rb"))
@click.option("--version", help="The version: a number, stable or candidate. [default: stable]")
@inference_port
@as_json
def explain(
    name: str, file: IO[bytes], version: str | None, connection: Connection, as_json: bool
) -> None:
    """Say what each feature adds to the score of the rows in FILE, beside rows of the reference.

    FILE is the body of an inference request as JSON, - for standard input. What all features add is
    the score less its average over the reference.
    """
    from serve.cli.printing import console, line  # noqa: PLC0415

    pin = "" if version is None else f"/versions/{quote(version, safe='')}"
    path = f"/v2/models/{quote(name, safe='')}{pin}/explain"
    answer = connection.ask("POST", path, content=file.read()).content
    found = orjson.loads(answer)
    if as_json:
        click.echo(orjson.dumps(found, option=orjson.OPT_INDENT_2).decode())
        return
    out = console()
    out.print(line(f"{found['model_name']} version {found['model_version']}", "bold"))
    for row in found["explanations"]:
        _print_row(out, row)
    for held in found["held"]:
        out.print(line(f"Note: {held['feature']} was left as it is: {held['reason']}.", "yellow"))


def _print_row(out: Console, row: dict[str, Any]) -> None:
    from serve.cli.printing import line, table  # noqa: PLC0415

    column = f" of column {row['column']}" if "column" in row else ""
    out.print()
    out.print(
        line(
            f"score{column} {row['prediction']:.4f}; on average over the reference "
            f"{row['base_value']:.4f} (standard error {row['base_error']:.4f}, "
            f"{row['samples']} samples, {row['model_runs']:,} runs)"
        )
    )
    parts = sorted(row["contributions"], key=lambda each: -abs(each["value"]))
    longest = max((abs(each["value"]) for each in parts), default=0.0) or 1.0
    together = f"{row['prediction'] - row['base_value']:+.4f}"
    rows = [_part(each, longest) for each in parts]
    headers = ("FEATURE", "ADDS", "STANDARD ERROR", "")
    out.print(table(headers, [*rows, (("all", "bold"), together, "", "")]))


def _part(part: dict[str, Any], longest: float) -> tuple[Cell, ...]:
    value = part["value"]
    bar = ("+" if value > 0 else "-") * round(abs(value) / longest * _BAR)
    style = "red" if value > 0 else "blue"
    return part["feature"], f"{value:+.4f}", f"{part['standard_error']:.4f}", (bar, style)
