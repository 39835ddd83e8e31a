"""Options that several commands share, and the name under which they act."""

from __future__ import annotations

import os
import pwd
from collections.abc import Callable
from contextlib import closing
from functools import wraps
from pathlib import Path
from typing import Any, TypeVar

import click

T = TypeVar("T")

DEFAULT_URL = "http://127.0.0.1:8002"
DEFAULT_INFERENCE_URL = "http://127.0.0.1:8000"


def user_name() -> str:
    """The name of the person at this terminal, as the system knows them."""
    number = os.getuid()
    try:
        return pwd.getpwuid(number).pw_name
    except KeyError:
        return f"uid-{number}"


_URL = click.option(
    "--url",
    envvar="WEIR_URL",
    default=DEFAULT_URL,
    show_default=True,
    show_envvar=True,
    help="The control API of the gateway.",
)
_INFERENCE_URL = click.option(
    "--url",
    envvar="WEIR_INFERENCE_URL",
    default=DEFAULT_INFERENCE_URL,
    show_default=True,
    show_envvar=True,
    help="The inference port of the gateway.",
)
_KEY = click.option(
    "--key",
    envvar="WEIR_KEY",
    show_envvar=True,
    help="The API key; other people on this machine cannot see it in the variable.",
)
_CA = click.option(
    "--ca",
    envvar="WEIR_CA",
    show_envvar=True,
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="Whose certificates to trust, as a PEM file.",
)


def gateway(command: Callable[..., T]) -> Callable[..., T]:
    """Give a command the options of a connection, and of them a `client` to work with.

    The client is a `ControlClient` that is closed when the command ends.
    """

    @wraps(command)
    def connected(*args: Any, url: str, key: str | None, ca: Path | None, **values: Any) -> T:
        # Loaded here, so that help and usage errors need not wait for it.
        from serve.control.client import ControlClient  # noqa: PLC0415

        with ControlClient(url, user_name(), key, ca) as client:
            return command(*args, client=client, **values)

    return _URL(_KEY(_CA(connected)))


as_json = click.option("--json", "as_json", is_flag=True, help="Print JSON instead of a table.")


def inference_port(command: Callable[..., T]) -> Callable[..., T]:
    """Give a command a `connection` to the inference port, which is closed when it ends."""

    @wraps(command)
    def connected(*args: Any, url: str, key: str | None, ca: Path | None, **values: Any) -> T:
        from serve.control.connection import Connection, shown  # noqa: PLC0415 - as above

        with closing(Connection(url, shown(key), ca)) as connection:
            return command(*args, connection=connection, **values)

    return _INFERENCE_URL(_KEY(_CA(connected)))
