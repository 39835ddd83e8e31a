"""`weir load` and `weir unload`: whether a model is served."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from serve.cli.options import as_json, gateway
from serve.cli.route import show_route

if TYPE_CHECKING:
    from serve.control.client import ControlClient


@click.command()
@click.argument("model")
@click.option("--reason", default="", help="Why; it goes into the audit log.")
@gateway
@as_json
def load(model: str, reason: str, client: ControlClient, as_json: bool) -> None:
    """Serve a model again, or for the first time.

    A model that was unloaded comes back as it was; of one that never was served, the latest
    version takes all of the traffic.
    """
    show_route(client.load(model, reason), as_json)


@click.command()
@click.argument("model")
@click.option("--reason", required=True, help="Why; it goes into the audit log.")
@gateway
@as_json
def unload(model: str, reason: str, client: ControlClient, as_json: bool) -> None:
    """Serve a model no longer, and end its processes; its versions and its split are kept."""
    show_route(client.unload(model, reason), as_json)
