"""`weir audit`: the log of all changes, and whether it is whole."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, TextIO

import click

from configs.errors import Conflict
from serve.cli.options import as_json, gateway

if TYPE_CHECKING:
    from serve.control.client import ControlClient
    from serve.control.schemas import AuditView

_PAGE = 500


@click.group()
def audit() -> None:
    """Read and check the log of all changes."""


@audit.command("list")
@click.option("--after", default=0, type=click.IntRange(min=0), help="The last sequence known.")
@click.option("--limit", default=100, type=click.IntRange(1, 1000), show_default=True)
@gateway
@as_json
def list_(after: int, limit: int, client: ControlClient, as_json: bool) -> None:
    """List changes in order: who changed what, when and why."""
    from serve.cli.printing import console, print_json, table  # noqa: PLC0415

    entries = client.audit(after, limit)
    if as_json:
        print_json(entries)
        return
    rows = [
        (str(entry.sequence), entry.at, entry.actor, entry.action, entry.resource, entry.reason)
        for entry in entries
    ]
    console().print(table(("NUMBER", "AT", "BY", "ACTION", "WHAT", "WHY"), rows))
    if len(entries) == limit:
        click.echo(f"There may be more: weir audit list --after {entries[-1].sequence}", err=True)


@audit.command()
@gateway
@as_json
def verify(client: ControlClient, as_json: bool) -> None:
    """Check the chain of hashes; exit status 1 if an entry was changed, removed or moved."""
    from serve.cli.printing import print_json  # noqa: PLC0415

    found = client.verify_audit()
    if as_json:
        print_json(found)
    elif found.intact:
        click.echo("The audit log is whole: every entry follows from the one before.")
    if not found.intact:
        raise Conflict(f"the audit log is broken: entry {found.first_broken} is not as written")


@audit.command()
@click.option(
    "--output", type=click.File("w", encoding="utf-8"), default="-", help="A file; else the screen."
)
@gateway
def export(output: TextIO, client: ControlClient) -> None:
    """Write all entries as JSON lines, with their hashes, so that others can verify them."""
    output.writelines(entry.model_dump_json() + "\n" for entry in _all(client))


def _all(client: ControlClient) -> Iterator[AuditView]:
    last = 0
    while entries := client.audit(last, _PAGE):
        yield from entries
        last = entries[-1].sequence
