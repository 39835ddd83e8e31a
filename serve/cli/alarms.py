"""`weir alarms`: what is raised, and what is done about it."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import click

from serve.cli.figures import effect, evidence, minute
from serve.cli.options import as_json, gateway
from serve.cli.why import why

if TYPE_CHECKING:
    from serve.cli.printing import Cell
    from serve.control.alarm_schemas import AlarmView
    from serve.control.client import ControlClient

_STATES = ("raised", "acknowledged", "silenced", "closed")
_STYLES = {"raised": "bold red", "acknowledged": "yellow", "silenced": "cyan", "closed": "dim"}
_WHY = "Why; it goes into the audit log."
_DURATION = re.compile(r"(\d{1,6})\s*([smhd])")
_SECONDS = {"s": 1, "m": 60, "h": 3600, "d": 86_400}


class _ListsUnlessTold(click.Group):
    """A group that lists when it is given no command of its own: `weir alarms credit`."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Put `list` before what names no command and asks for no help."""
        if not args or args[0] not in (*self.commands, *ctx.help_option_names):
            args = ["list", *args]
        return super().parse_args(ctx, args)


def _seconds(ctx: click.Context, param: click.Parameter, text: str | None) -> float | None:
    """Seconds out of `30m`, `8h` or `2d`."""
    if text is None:
        return None
    found = _DURATION.fullmatch(text.strip())
    if found is None:
        raise click.BadParameter(f"{text!r} is no time such as 30m, 8h or 2d.", ctx, param)
    return float(int(found[1]) * _SECONDS[found[2]])


def _moment(ctx: click.Context, param: click.Parameter, text: str | None) -> datetime | None:
    """A moment out of ISO 8601, in this machine's zone unless it says which."""
    if text is None:
        return None
    try:
        return datetime.fromisoformat(text).astimezone(UTC)
    except (ValueError, OverflowError):
        raise click.BadParameter(
            f"{text!r} is no moment such as 2026-11-30T08:00.", ctx, param
        ) from None


@click.group(cls=_ListsUnlessTold)
def alarms() -> None:
    """List alarms, explain them, and acknowledge, silence or close them.

    \b
    weir alarms                                     of all models, those that are raised first
    weir alarms credit                              of one model
    weir alarms why 5e0c41d7a2b94f10                what moved, and what that did to the score
    weir alarms acknowledge 5e0c41d7a2b94f10
    weir alarms silence 5e0c41d7a2b94f10 --for 8h --reason "the campaign of this week"
    weir alarms rearm 5e0c41d7a2b94f10 --reason "the feed is repaired"
    weir alarms adopt 5e0c41d7a2b94f10 --reason "these are our customers now"
    """  # noqa: D301 - the marker that keeps these lines apart


@alarms.command("list")
@click.argument("name", required=False)
@click.option("--state", type=click.Choice(_STATES), help="Only those in this state.")
@click.option("--limit", default=100, type=click.IntRange(1, 1000), show_default=True)
@gateway
@as_json
def list_(
    name: str | None, state: str | None, limit: int, client: ControlClient, as_json: bool
) -> None:
    """List alarms of one model or all, those that are raised first."""
    from registry.alarms import AlarmState  # noqa: PLC0415
    from serve.cli.printing import console, print_json, table  # noqa: PLC0415

    found = client.alarms(name, AlarmState(state) if state else None, limit)
    if as_json:
        print_json(found)
    elif not found:
        click.echo("There is no such alarm.")
    else:
        headers = ("STATE", "ID", "MODEL", "ROLE", "SIGNAL", "SUBJECT", "EFFECT", "EVIDENCE")
        more = ("RAISED", "LAST")
        console().print(table((*headers, *more), map(_row, found)))


@alarms.command()
@click.argument("alarm_id", metavar="ID")
@click.option("--reason", default="", help=_WHY)
@gateway
@as_json
def acknowledge(alarm_id: str, reason: str, client: ControlClient, as_json: bool) -> None:
    """Say that somebody has taken an alarm on."""
    _show(client.acknowledge_alarm(alarm_id, reason), as_json)


@alarms.command()
@click.argument("alarm_id", metavar="ID")
@click.option("--for", "for_s", callback=_seconds, metavar="TIME", help="Such as 30m, 8h or 2d.")
@click.option("--until", callback=_moment, metavar="MOMENT", help="Such as 2026-11-30T08:00.")
@click.option("--reason", required=True, help=_WHY)
@gateway
@as_json
def silence(
    alarm_id: str,
    for_s: float | None,
    until: datetime | None,
    reason: str,
    client: ControlClient,
    as_json: bool,
) -> None:
    """Tell nobody of an alarm for a while; if it still stands then, it is raised again."""
    end = until if for_s is None else for_s
    if end is None or (for_s is not None and until is not None):
        raise click.UsageError("give --for or --until.")
    _show(client.silence_alarm(alarm_id, end, reason), as_json)


@alarms.command()
@click.argument("alarm_id", metavar="ID")
@click.option("--reason", required=True, help=_WHY)
@gateway
@as_json
def rearm(alarm_id: str, reason: str, client: ControlClient, as_json: bool) -> None:
    """Close an alarm: its monitor begins anew with the same reference."""
    _show(client.rearm_alarm(alarm_id, reason), as_json)


@alarms.command()
@click.argument("alarm_id", metavar="ID")
@click.option("--reason", required=True, help=_WHY)
@gateway
@as_json
def adopt(alarm_id: str, reason: str, client: ControlClient, as_json: bool) -> None:
    """Close the alarms of a version in a role: its monitors learn a reference from rows to come."""
    _show(client.adopt_reference(alarm_id, reason), as_json)


alarms.add_command(why)


def _show(alarm: AlarmView, as_json: bool) -> None:
    from serve.cli.printing import console, line, print_json  # noqa: PLC0415

    if as_json:
        print_json(alarm)
    else:
        about = f"{alarm.name} of {alarm.subject}" if alarm.subject else alarm.name
        what = f"{about}, {alarm.model} version {alarm.version} ({alarm.role})"
        console().print(line(f"Alarm {alarm.id} is {_state(alarm)}: {what}."))


def _row(alarm: AlarmView) -> tuple[Cell, ...]:
    why = f": {alarm.reason}" if alarm.reason else ""
    return (
        (_state(alarm), _STYLES[alarm.state.value]),
        alarm.id,
        f"{alarm.model} {alarm.version}",
        alarm.role,
        alarm.name,
        alarm.subject,
        effect(alarm.value, alarm.lower, alarm.upper),
        evidence(alarm.log10_evidence),
        minute(alarm.raised_at),
        f"{minute(alarm.at)}, {alarm.by}{why}",
    )


def _state(alarm: AlarmView) -> str:
    """The state, with the end of a silence, or with how it was closed."""
    if alarm.silenced_until is not None:
        return f"silenced until {minute(alarm.silenced_until)}"
    if alarm.state.value == "closed":
        return "closed, adopted" if alarm.adopted else "closed, re-armed"
    return alarm.state.value
