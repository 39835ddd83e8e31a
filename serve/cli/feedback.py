"""`weir feedback`: send a file of labels."""

from __future__ import annotations

import sys
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
import orjson

from serve.cli.label_files import LABEL_TYPES, Message, messages, rows_of
from serve.cli.options import as_json, inference_port

if TYPE_CHECKING:
    from serve.cli.inference_port import ReceiptView
    from serve.control.connection import Connection

BATCH = 5000
BATCH_BYTES = 2**20
_REASONS = 10


@dataclass
class Told:
    """What became of all messages so far; `reasons` are those that the gateway named."""

    sent: int = 0
    accepted: int = 0
    joined: int = 0
    waiting: int = 0
    repeated: int = 0
    corrected: int = 0
    refused: int = 0
    reasons: Counter[str] = field(default_factory=Counter)
    first: dict[str, int] = field(default_factory=dict)

    def add(self, receipt: ReceiptView, messages: int) -> None:
        """Take in the answer to a batch."""
        for each in receipt.refused:
            self.reasons[each.reason] += 1
            self.first.setdefault(each.reason, self.sent + each.index + 1)
        self.sent += messages
        self.accepted += receipt.accepted
        self.joined += receipt.joined
        self.waiting += receipt.waiting
        self.repeated += receipt.repeated
        self.corrected += receipt.corrected
        self.refused += receipt.refused_count


@click.command()
@click.argument("name")
@click.argument("file", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.option(
    "--groups",
    "audit",
    is_flag=True,
    help="Send group attributes without labels, over the channel for audits.",
)
@click.option(
    "--label-type",
    type=click.Choice(LABEL_TYPES),
    help="What the labels of a table are to be taken for, in place of what they look like.",
)
@inference_port
@as_json
def feedback(
    name: str,
    file: Path,
    audit: bool,
    label_type: str | None,
    connection: Connection,
    as_json: bool,
) -> None:
    """Send the labels in FILE, and say what became of them.

    FILE is Parquet, CSV or JSON lines, by its ending. A table has the columns prediction_id or key,
    row, label, at, and group_NAME and value_NAME; a line of JSON is one message, as the gateway
    takes it (docs/labels.md).

    A file may be sent again: what is known already is not counted twice. The exit status is 1 if
    anything was refused.
    """
    from serve.cli.inference_port import InferencePort  # noqa: PLC0415 - help need not wait for it

    told, port = Told(), InferencePort(connection)
    try:
        with _progress(name, rows_of(file)) as progress:
            for batch in batches(messages(file, label_type)):
                told.add(port.feedback(name, batch, audit=audit), len(batch))
                progress.update(len(batch))
    finally:  # What was sent before something went wrong stays sent.
        if told.sent or as_json:
            _print_json(told) if as_json else _print(told)
    if not told.sent and not as_json:
        click.echo(f"{file} has no labels in it.")
    click.get_current_context().exit(1 if told.refused else 0)


def _progress(name: str, length: int) -> Any:
    out = sys.stderr
    return click.progressbar(
        length=length, label=f"labels of {name}", file=out, hidden=not out.isatty()
    )


def batches(brought: Iterable[Message]) -> Iterator[list[bytes]]:
    """Give messages as lines of JSON, so many together as one request takes easily."""
    batch: list[bytes] = []
    size = 0
    for message in brought:
        line = orjson.dumps(message, str)
        if batch and (len(batch) == BATCH or size + len(line) > BATCH_BYTES):
            yield batch
            batch, size = [], 0
        batch.append(line)
        size += len(line) + 1
    if batch:
        yield batch


def _print(told: Told) -> None:
    from serve.cli.printing import console, line, table  # noqa: PLC0415

    out = console()
    out.print(
        line(
            f"{told.accepted:,} of {told.sent:,} accepted: {told.joined:,} joined, "
            f"{told.waiting:,} waiting for their predictions, {told.repeated:,} known already, "
            f"{told.corrected:,} corrections"
        )
    )
    if not told.refused:
        return
    out.print(line(f"{told.refused:,} refused", "bold red"))
    common = told.reasons.most_common(_REASONS)
    rows = [(f"{times:,}", f"{told.first[reason]:,}", reason) for reason, times in common]
    if rest := told.refused - sum(times for _, times in common):
        rows.append((f"{rest:,}", "", "others"))
    out.print(table(("TIMES", "FIRST AT MESSAGE", "REASON"), rows))


def _print_json(told: Told) -> None:
    reasons = [
        {"reason": reason, "times": times, "first": told.first[reason]}
        for reason, times in told.reasons.most_common()
    ]
    figures = {
        name: getattr(told, name)
        for name in ("sent", "accepted", "joined", "waiting", "repeated", "corrected", "refused")
    }
    click.echo(orjson.dumps({**figures, "reasons": reasons}, option=orjson.OPT_INDENT_2).decode())
