"""`weir training`: what is kept of requests to train the next version on."""

from __future__ import annotations

from pathlib import Path

import click

from configs.errors import StartError
from serve.cli.options import user_name


@click.group()
def training() -> None:
    """Take rows out of the training log."""


@training.command()
@click.argument("name")
@click.option(
    "--id",
    "wanted",
    required=True,
    help="A prediction id, or the id that the caller gave to the request.",
)
@click.option(
    "--data",
    required=True,
    type=click.Path(exists=True, file_okay=False, path_type=Path),
    help="The data folder of a gateway that is not running.",
)
@click.option("--reason", default="", help="Why, for the audit log.")
def delete(name: str, wanted: str, data: Path, reason: str) -> None:
    """Delete all rows of one request from the training log of a model.

    The audit log says how many there were, and why; not whose they were.
    """
    # Loaded here, so that help and usage errors need not wait for it.
    from configs.settings import Verify  # noqa: PLC0415
    from monitors.training.log import delete as delete_rows  # noqa: PLC0415
    from registry.registry import Registry  # noqa: PLC0415
    from serve.node.owned import owned  # noqa: PLC0415

    with owned(data):
        registry = Registry.open(data, Verify())
        try:
            registry.versions(name)  # A name that is misspelt must not look like "no rows".
            rows = delete_rows(data / "training", name, wanted)
            registry.note_deletion(name, rows, user_name(), reason)
        except OSError as error:
            raise StartError(f"the training log cannot be changed: {error}") from None
        finally:
            registry.close()
    click.echo(f"{rows} {'row is' if rows == 1 else 'rows are'} gone from the log of {name}.")
