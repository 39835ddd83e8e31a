"""`weir models` and `weir versions`: what is registered."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from serve.cli.options import as_json, gateway

if TYPE_CHECKING:
    from serve.cli.printing import Cell
    from serve.control.client import ControlClient
    from serve.control.schemas import RouteView, VersionView

_STATE_STYLES = {"ready": "green", "starting": "yellow", "failed": "red"}


@click.command()
@gateway
@as_json
def models(client: ControlClient, as_json: bool) -> None:
    """List models and how their traffic is split."""
    from serve.cli.printing import console, print_json, table  # noqa: PLC0415

    found = client.models()
    if as_json:
        print_json(found)
    elif not found:
        click.echo("No model is registered yet. Try: weir register NAME model.onnx")
    else:
        rows = [(model.model, str(model.versions), split_text(model.route)) for model in found]
        console().print(table(("MODEL", "VERSIONS", "TRAFFIC"), rows))


@click.command()
@click.argument("name")
@gateway
@as_json
def versions(name: str, client: ControlClient, as_json: bool) -> None:
    """List the versions of a model, oldest first."""
    from serve.cli.printing import console, print_json, table  # noqa: PLC0415

    model = client.model(name)
    if as_json:
        print_json(model.versions)
        return
    rows = [_row(version, model.route) for version in model.versions]
    headers = ("VERSION", "STATE", "TRAFFIC", "TASK", "PROFILE", "REGISTERED", "BY", "DIGEST")
    console().print(table(headers, rows))


def split_text(route: RouteView | None) -> str:
    """A split in one line, such as `1: 95 % stable, 2: 5 % canary, 3: shadow of 10 %`."""
    if route is None:
        return "none yet"
    if not route.served:
        return "unloaded"
    parts = [f"{arm.version}: {arm.weight:g} % {arm.role}" for arm in route.arms]
    if route.shadow:
        parts.append(f"{route.shadow.version}: shadow of {route.shadow.share:g} %")
    return ", ".join(parts)


def _row(version: VersionView, route: RouteView | None) -> tuple[Cell, ...]:
    state = version.state
    if version.state == "failed" and version.state_reason:
        state = f"failed: {version.state_reason}"
    return (
        str(version.version),
        (state, _STATE_STYLES.get(version.state, "dim")),
        _share(version.version, route),
        version.card.task.value,
        "yes" if version.profile else "no",
        version.created_at,
        version.created_by,
        version.digest,
    )


def _share(version: int, route: RouteView | None) -> str:
    """What a route gives to one version."""
    if route is None or not route.served:
        return "-"
    for arm in route.arms:
        if arm.version == version:
            return f"{arm.weight:g} % {arm.role}"
    if route.shadow and route.shadow.version == version:
        return f"shadow of {route.shadow.share:g} %"
    return "kept warm" if route.previous == version else "-"
