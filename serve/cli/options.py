"""Options that several commands share, and the name under which they act."""

from __future__ import annotations

import os
import pwd
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from serve.control.client import ControlClient

DEFAULT_URL = "http://127.0.0.1:8002"


def user_name() -> str:
    """The name of the person at this terminal, as the system knows them."""
    number = os.getuid()
    try:
        return pwd.getpwuid(number).pw_name
    except KeyError:
        return f"uid-{number}"


def _connect(ctx: click.Context, _: click.Parameter, url: str) -> ControlClient:
    # Loaded here, so that help and usage errors need not wait for it.
    from serve.control.client import ControlClient  # noqa: PLC0415

    return ctx.with_resource(ControlClient(url, user_name()))


gateway = click.option(
    "--url",
    "client",
    default=DEFAULT_URL,
    show_default=True,
    callback=_connect,
    help="The control API of the gateway.",
)
"""Gives the command a `client`: a `ControlClient` that is closed when the command ends."""

as_json = click.option("--json", "as_json", is_flag=True, help="Print JSON instead of a table.")
