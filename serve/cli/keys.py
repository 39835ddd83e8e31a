"""`weir keys`: who may call, as what, and how often."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click
from click.core import ParameterSource

from registry.keys import AccessRole
from serve.cli.options import as_json, gateway, user_name

if TYPE_CHECKING:
    from serve.cli.printing import Cell
    from serve.control.client import ControlClient
    from serve.control.key_schemas import KeyView
    from serve.control.offline import OfflineKeys

_ONCE = "Keep the token now: it will not be shown again."
_YEARS_MAX = 100
_STYLES = {"valid": "green", "expired": "yellow", "revoked": "dim"}

F = TypeVar("F", bound=Callable[..., Any])


def _data(exists: bool) -> Callable[[F], F]:
    """The option by which a command works on the folder of a gateway that is not running."""
    return click.option(
        "--data",
        type=click.Path(exists=exists, file_okay=False, path_type=Path),
        help="The data folder of a gateway that is not running, in place of --url.",
    )


def _place(client: ControlClient, data: Path | None) -> ControlClient | OfflineKeys:
    """Where the keys are: in a folder, owned until the command ends, or behind the control API."""
    if data is None:
        return client
    ctx = click.get_current_context()
    if ctx.get_parameter_source("url") is ParameterSource.COMMANDLINE:
        raise click.UsageError("--data goes without --url: it needs no gateway.", ctx)
    # Loaded here, so that help and usage errors need not wait for it.
    from serve.control.offline import offline_keys  # noqa: PLC0415

    return ctx.with_resource(offline_keys(data, user_name()))


@click.group()
def keys() -> None:
    """Make, list and revoke API keys.

    The first key is made before the gateway is started, with --data.
    """


@keys.command()
@click.argument("name")
@click.option(
    "--role",
    type=click.Choice([role.value for role in AccessRole]),
    required=True,
    help="What its holder may do.",
)
@click.option(
    "--rate",
    type=click.FloatRange(min=0, min_open=True),
    help="How many requests a second it may make; without it, any number.",
)
@click.option(
    "--expires-days",
    type=click.IntRange(1, 366 * _YEARS_MAX),
    help="After how many days it ends; without it, never.",
)
@gateway
@_data(exists=False)
@as_json
def create(
    name: str,
    role: str,
    rate: float | None,
    expires_days: int | None,
    client: ControlClient,
    data: Path | None,
    as_json: bool,
) -> None:
    """Make a key and print its token, once.

    The token alone goes to standard output, what is said about it to standard error.
    """
    from serve.cli.printing import print_json  # noqa: PLC0415

    expires = datetime.now(UTC) + timedelta(days=expires_days) if expires_days else None
    made = _place(client, data).create_key(name, AccessRole(role), rate, expires)
    if as_json:
        print_json(made)
    else:
        until = f" until {made.key.expires_at}" if made.key.expires_at else ""
        click.echo(f"Key {made.key.id} ({name}), role {role}{until}.", err=True)
        click.echo(made.token)
    click.echo(_ONCE, err=True)


@keys.command("list")
@gateway
@_data(exists=True)
@as_json
def list_(client: ControlClient, data: Path | None, as_json: bool) -> None:
    """List all keys, oldest first, also those that have ended."""
    from serve.cli.printing import console, print_json, table  # noqa: PLC0415

    found = _place(client, data).keys()
    if as_json:
        print_json(found)
    elif not found:
        click.echo("There is no key yet. Try: weir keys create NAME --role admin")
    else:
        headers = ("ID", "NAME", "ROLE", "RATE", "STATE", "UNTIL", "MADE", "BY")
        console().print(table(headers, map(_row, found)))


@keys.command()
@click.argument("key_id", metavar="ID")
@click.option("--reason", required=True, help="Why; it goes into the audit log.")
@gateway
@_data(exists=True)
@as_json
def revoke(
    key_id: str, reason: str, client: ControlClient, data: Path | None, as_json: bool
) -> None:
    """End a key for good; when this returns, no gateway replica takes it any more."""
    from serve.cli.printing import print_json  # noqa: PLC0415

    ended = _place(client, data).revoke_key(key_id, reason)
    if as_json:
        print_json(ended)
    else:
        click.echo(f"Key {ended.id} ({ended.name}) is revoked.")


def _row(key: KeyView) -> tuple[Cell, ...]:
    state = _state(key)
    return (
        key.id,
        key.name,
        key.role.value,
        f"{key.rate_per_s:g}/s" if key.rate_per_s is not None else "any",
        (state, _STYLES[state]),
        key.revoked_at or key.expires_at or "-",
        key.created_at,
        key.created_by,
    )


def _state(key: KeyView) -> str:
    if key.revoked_at is not None:
        return "revoked"
    now = datetime.now(UTC)
    expired = key.expires_at is not None and datetime.fromisoformat(key.expires_at) <= now
    return "expired" if expired else "valid"
