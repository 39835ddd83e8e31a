"""`weir route`, `weir promote` and `weir rollback`: which version answers."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import TYPE_CHECKING

import click

from configs.errors import ModelNotFound, NotFound
from serve.cli.options import as_json, gateway

if TYPE_CHECKING:
    from serve.control.client import ControlClient
    from serve.control.schemas import JudgedView, RouteView

_SHARE = re.compile(r"\s*(\d{1,9})\s*=\s*(\d{1,3}(?:\.\d+)?)\s*%?\s*")
_NO_SHADOW = "none"
_SET = "The whole new split; the percentages sum to 100."
_SEES = "The version that sees a share of the traffic and answers nobody; none ends it."

Shadow = tuple[int, float]


def _weights(
    ctx: click.Context, param: click.Parameter, text: str | None
) -> dict[int, float] | None:
    """Percentages by version out of `1=95,2=5`; the gateway checks what they sum to."""
    if text is None:
        return None
    weights: dict[int, float] = {}
    for part in text.split(","):
        version, percent = _share(ctx, param, part)
        if version in weights:
            raise click.BadParameter(f"version {version} is named twice.", ctx, param)
        weights[version] = percent
    return weights


def _shadow(ctx: click.Context, param: click.Parameter, text: str | None) -> Shadow | str | None:
    """A version and the percentage that it sees out of `2=3`, or `none`."""
    return text if text in (None, _NO_SHADOW) else _share(ctx, param, text)


def _share(ctx: click.Context, param: click.Parameter, text: str) -> Shadow:
    found = _SHARE.fullmatch(text)
    if found is None:
        raise click.BadParameter(f"{text!r} is not VERSION=PERCENT, such as 2=5.", ctx, param)
    return int(found[1]), float(found[2])


@click.command()
@click.argument("name")
@click.option("--set", "weights", callback=_weights, metavar="VERSION=PERCENT,...", help=_SET)
@click.option("--shadow", callback=_shadow, metavar="VERSION=PERCENT|none", help=_SEES)
@click.option("--reason", default="", help="Why; it goes into the audit log.")
@gateway
@as_json
def route(
    name: str,
    weights: dict[int, float] | None,
    shadow: Shadow | str | None,
    reason: str,
    client: ControlClient,
    as_json: bool,
) -> None:
    """Show how a model's traffic is split, or change it.

    \b
    weir route credit                              show
    weir route credit --set 1=95,2=5               a canary of 5 %
    weir route credit --shadow 2=10                version 2 sees 10 %, and answers nobody
    weir route credit --set 2=100 --shadow none    all to version 2, without a shadow

    What is not given stays as it is. The change fails if somebody else changed the route meanwhile.
    """  # noqa: D301 - the marker that keeps these lines apart
    if weights is None and shadow is None:
        if reason:
            raise click.UsageError("--reason goes with --set or --shadow.")
        shown = client.route(name)
    else:
        shown = _change(client, name, weights, shadow, reason)
    show_route(shown, as_json)


@click.command()
@click.argument("name")
@click.argument("version", type=click.IntRange(min=1))
@click.option("--reason", required=True, help="Why; it goes into the audit log.")
@gateway
@as_json
def promote(name: str, version: int, reason: str, client: ControlClient, as_json: bool) -> None:
    """Give a version all of the traffic; the one before stays warm for a rollback."""
    show_route(client.promote(name, version, reason), as_json)


@click.command()
@click.argument("name")
@click.option("--reason", default="", help="Why; it goes into the audit log.")
@gateway
@as_json
def rollback(name: str, reason: str, client: ControlClient, as_json: bool) -> None:
    """Return to the version that served before; a split ends at its stable version."""
    show_route(client.rollback(name, reason), as_json)


def _change(
    client: ControlClient,
    name: str,
    weights: Mapping[int, float] | None,
    shadow: Shadow | str | None,
    reason: str,
) -> RouteView:
    """Change what was asked for, on the condition that the rest is still as it was read."""
    now = _present(client, name)
    if weights is None:
        if now is None:
            raise click.UsageError(f"{name} has no split yet: give one with --set.")
        weights = {arm.version: arm.weight for arm in now.arms}
    wanted = _kept_shadow(now, weights) if shadow is None else shadow
    pair = None if isinstance(wanted, str) else wanted
    return client.set_route(name, weights, pair, reason, now.generation if now else None)


def _present(client: ControlClient, name: str) -> RouteView | None:
    try:
        return client.route(name)
    except ModelNotFound:
        raise
    except NotFound:
        return None


def _kept_shadow(now: RouteView | None, weights: Mapping[int, float]) -> Shadow | None:
    """The shadow as it is, unless its version now answers for real."""
    if now is None or now.shadow is None or weights.get(now.shadow.version):
        return None
    return now.shadow.version, now.shadow.share


def show_route(shown: RouteView, as_json: bool) -> None:
    """Print a route, with the state that it is in."""
    from serve.cli.printing import console, line, print_json, table  # noqa: PLC0415

    if as_json:
        print_json(shown)
        return
    rows = [(str(arm.version), arm.role.value, f"{arm.weight:g} %") for arm in shown.arms]
    if shown.shadow:
        rows.append((str(shown.shadow.version), "shadow", f"sees {shown.shadow.share:g} %"))
    if shown.previous is not None and str(shown.previous) not in {row[0] for row in rows}:
        rows.append((str(shown.previous), "previous", "kept warm"))
    why = f": {shown.reason}" if shown.reason else ""
    out = console()
    out.print(line(f"{shown.model}, generation {shown.generation}", "bold"))
    out.print(line(f"since {shown.created_at}, by {shown.created_by}{why}"))
    if not shown.served:
        out.print(line(f"unloaded; to serve it as below: weir load {shown.model}", "yellow"))
    if shown.judged:
        out.print(line(f"judged: version {shown.judged.candidate}, {_rollout(shown.judged)}"))
    out.print(table(("VERSION", "ROLE", "TRAFFIC"), rows))


def _rollout(judged: JudgedView) -> str:
    """Where to look further, and what the candidate is compared with."""
    baseline = f", against a baseline of {judged.baseline:g} %" if judged.baseline else ""
    return f"by rollout {judged.rollout}{baseline}"
