"""`weir bins`: where a feature, a score or the decision has moved."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import click

from serve.cli.options import as_json, gateway

if TYPE_CHECKING:
    from serve.cli.printing import Cell
    from serve.control.client import ControlClient
    from serve.control.schemas import ArmBinsView, BinView

_UNITS = {"m": 1, "h": 60, "d": 24 * 60}
_BAR = 24


def _minutes(ctx: click.Context, param: click.Parameter, value: str | None) -> int | None:
    """A time such as `30m`, `6h` or `7d`, as minutes."""
    if value is None:
        return None
    found = re.fullmatch(r"([1-9]\d{0,4})([mhd])", value)
    minutes = int(found[1]) * _UNITS[found[2]] if found else 0
    if not 1 <= minutes <= 30 * _UNITS["d"]:
        message = f"{value!r} is not a time such as 30m, 6h or 7d, up to 30d"
        raise click.BadParameter(message, ctx, param)
    return minutes


@click.command()
@click.argument("name")
@click.argument("subject")
@click.option("--last", "minutes", callback=_minutes, help="Rows of this time only, such as 6h.")
@gateway
@as_json
def bins(
    name: str, subject: str, minutes: int | None, client: ControlClient, as_json: bool
) -> None:
    """Say where a feature, a score or the decision has moved.

    PSI and TV are what a bin adds to the population stability index and to the total variation,
    which are their sums.
    """
    from serve.cli.printing import console, line, print_json, table  # noqa: PLC0415

    view = client.bins(name, subject, minutes)
    if as_json:
        print_json(view)
        return
    out = console()
    for arm in view.arms:
        told = f"version {arm.version}, {arm.role}: {subject}, {arm.rows:,} live rows"
        out.print(line(told, "bold"))
        headers = ("BIN", "REFERENCE", "LIVE", "PSI", "TV", "")
        out.print(table(headers, [*map(_row, arm.bins), _sum(arm)]))
        out.print()


def _row(one: BinView) -> tuple[Cell, ...]:
    shares = f"{one.reference:.1%}", f"{one.live:.1%}"
    return one.label, *shares, f"{one.psi:.4f}", f"{one.total_variation:.4f}", _bar(one)


def _bar(one: BinView) -> Cell:
    """How far the share has moved: to the right where there is more, a full bar for half of all."""
    moved = one.live - one.reference
    length = min(_BAR, round(abs(moved) * 2 * _BAR))
    return ("+" if moved > 0 else "-") * length, "red" if moved > 0 else "blue"


def _sum(arm: ArmBinsView) -> tuple[Cell, ...]:
    psi = sum(one.psi for one in arm.bins)
    variation = sum(one.total_variation for one in arm.bins)
    return ("all", "bold"), "", "", f"{psi:.4f}", f"{variation:.4f}", ""
