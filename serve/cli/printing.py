"""Tables and JSON on standard output: in colour on a terminal, plain in a pipe."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterable, Sequence

import click
from pydantic import BaseModel
from rich.console import Console
from rich.table import Table
from rich.text import Text

# In a pipe a line is as long as it has to be: what comes after can cut it better than we can.
_PIPE_WIDTH = 100_000

Cell = str | tuple[str, str]
"""A text, or a text and its style."""


def console() -> Console:
    """The console of standard output as it is now; takes texts as they are, without markup."""
    width = None if sys.stdout.isatty() else _PIPE_WIDTH
    return Console(width=width, markup=False, highlight=False, emoji=False)


def table(headers: Sequence[str], rows: Iterable[Sequence[Cell]]) -> Table:
    """A table without lines; cells are shown whole, on several lines where they must be."""
    made = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), header_style="bold")
    for header in headers:
        made.add_column(header, overflow="fold")
    for row in rows:
        made.add_row(*[_text(cell) for cell in row])
    return made


def line(text: str, style: str = "") -> Text:
    """One line of text, with nothing in it that could steer a terminal."""
    return Text("".join(c if c.isprintable() else " " for c in text), style=style)


def print_json(value: BaseModel | Sequence[BaseModel]) -> None:
    """Views as indented JSON."""
    if isinstance(value, BaseModel):
        click.echo(value.model_dump_json(indent=2))
    else:
        click.echo(json.dumps([item.model_dump(mode="json") for item in value], indent=2))


def _text(cell: Cell) -> Text:
    text, style = (cell, "") if isinstance(cell, str) else cell
    return line(text, style)
