"""`weir alarms why`: what an alarm comes from."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from serve.cli.figures import effect, evidence, minute
from serve.cli.options import as_json, gateway

if TYPE_CHECKING:
    from rich.console import Console

    from serve.cli.printing import Cell
    from serve.control.alarm_schemas import AlarmView
    from serve.control.client import ControlClient
    from serve.control.schemas import BinView, SignalView
    from serve.control.why_schemas import (
        AttributionView,
        MovedView,
        NearbyView,
        OutcomeView,
        PartView,
        SlicesView,
        SliceView,
        WhyView,
    )

_BAR = 20
_OUTCOMES = {"score": "the mean score", "selected": "the share that is selected"}


@click.command()
@click.argument("alarm_id", metavar="ID")
@gateway
@as_json
def why(alarm_id: str, client: ControlClient, as_json: bool) -> None:
    """Say what moved, what that did to the score, where, and what else was changed then.

    What drift did is found by running rows of the last days through the model again, with a drifted
    feature put back to what the reference would have given. The parts of all features add up to the
    whole difference; in brackets are 95 % intervals.
    """
    from serve.cli.printing import console, line, print_json  # noqa: PLC0415

    view = client.why(alarm_id)
    if as_json:
        print_json(view)
        return
    out = console()
    _print_head(out, view)
    _print_says(out, view)
    _print_moved(out, view.moved)
    if view.attribution is not None:
        _print_attribution(out, view.attribution)
    if view.slices is not None:
        _print_slices(out, view.slices)
    _print_nearby(out, view.nearby)
    for note in view.notes:
        out.print(line(f"Note: {note}.", "yellow"))


def _print_head(out: Console, view: WhyView) -> None:
    from serve.cli.printing import line  # noqa: PLC0415

    alarm = view.alarm
    about = f"{alarm.name} of {alarm.subject}" if alarm.subject else alarm.name
    out.print(line(f"{about}, {alarm.model} version {alarm.version} ({alarm.role})", "bold red"))
    since = "changed about" if view.estimated else "no estimate of when it changed; taken as"
    out.print(line(f"raised {minute(alarm.raised_at)}; {since} {minute(view.changed_at)}"))
    out.print()


def _print_says(out: Console, view: WhyView) -> None:
    """The sentence of the alarm's signal as it is now, or as it was when the alarm was raised."""
    from serve.cli.printing import line  # noqa: PLC0415

    alarm = view.alarm
    own = next((each.signal for each in view.moved if _is_of(each.signal, alarm)), None)
    said = alarm.message if own is None else own.message
    if not said:
        return
    when = "when it was raised" if own is None else f"now {own.verdict}, {own.rows:,} rows"
    out.print(line(f"What it says ({when})", "bold"))
    out.print(line(f"{said}."))
    for each in view.moved:
        signal = each.signal
        # Where there are bins they say more than the sentence.
        if signal is not own and signal.family == alarm.family and not each.bins:
            out.print(line(f"{signal.name} of {signal.subject}: {signal.message}."))
    out.print()


def _is_of(signal: SignalView, alarm: AlarmView) -> bool:
    names = (signal.family, signal.name, signal.subject)
    return names == (alarm.family, alarm.name, alarm.subject)


def _print_moved(out: Console, moved: tuple[MovedView, ...]) -> None:
    from serve.cli.printing import line, table  # noqa: PLC0415

    out.print(line("What moved", "bold"))
    headers = ("SIGNAL", "SUBJECT", "EFFECT", "EVIDENCE", "BINS THAT MOVED MOST, REFERENCE TO LIVE")
    out.print(table(headers, map(_moved_row, moved)))
    out.print()


def _moved_row(moved: MovedView) -> tuple[Cell, ...]:
    signal = moved.signal
    return (
        signal.name,
        signal.subject,
        effect(signal.value, signal.lower, signal.upper),
        evidence(signal.log10_evidence),
        "; ".join(map(_bin, moved.bins)),
    )


def _bin(one: BinView) -> str:
    return f"{one.label}: {one.reference:.1%} to {one.live:.1%}"


def _print_attribution(out: Console, found: AttributionView) -> None:
    from serve.cli.printing import line, table  # noqa: PLC0415

    for outcome in found.outcomes:
        title = (
            f"What it did to {_OUTCOMES[outcome.outcome]}: {outcome.now:.4f} now, "
            f"{outcome.without:.4f} without the drift ({found.rows} rows, {found.runs} runs)"
        )
        out.print(line(title, "bold"))
        out.print(table(("FEATURE", "PART", "95 % INTERVAL", ""), _part_rows(outcome)))
        out.print()


def _part_rows(outcome: OutcomeView) -> list[tuple[Cell, ...]]:
    longest = max((abs(part.value) for part in outcome.parts), default=0.0) or 1.0
    rows = [_part_row(part, longest) for part in sorted(outcome.parts, key=_size, reverse=True)]
    together = f"{outcome.now - outcome.without:+.4f}"
    return [*rows, (("all", "bold"), together, "", "")]


def _size(part: PartView) -> float:
    return abs(part.value)


def _part_row(part: PartView, longest: float) -> tuple[Cell, ...]:
    bar = ("+" if part.value > 0 else "-") * round(abs(part.value) / longest * _BAR)
    interval = f"{part.lower:+.4f} to {part.upper:+.4f}"
    return part.feature, f"{part.value:+.4f}", interval, (bar, "red" if part.value > 0 else "blue")


def _print_slices(out: Console, slices: SlicesView) -> None:
    from serve.cli.printing import line, table  # noqa: PLC0415

    out.print(line(f"Slices that changed ({slices.looked_at:,} looked at)", "bold"))
    if slices.found:
        headers = ("ROWS WITH", "SHARE BEFORE", "SINCE", "MEAN SCORE BEFORE", "SINCE", "P-VALUE")
        out.print(table(headers, map(_slice_row, slices.found)))
    else:
        out.print(line("None for sure."))
    out.print()


def _slice_row(found: SliceView) -> tuple[Cell, ...]:
    where = " and ".join(f"{each.feature} {each.bin}" for each in found.where)
    shares = (_told(found.share_before, ".1%"), _told(found.share_since, ".1%"))
    scores = (_told(found.score_before, ".4f"), _told(found.score_since, ".4f"))
    return where, *shares, *scores, f"{found.p_value:.1e}"


def _told(number: float | None, form: str) -> str:
    return "few rows" if number is None else format(number, form)


def _print_nearby(out: Console, nearby: tuple[NearbyView, ...]) -> None:
    from serve.cli.printing import line, table  # noqa: PLC0415

    out.print(line("What else was changed within an hour", "bold"))
    if nearby:
        headers = ("WHEN", "THAT IS", "WHO", "WHAT", "ON", "REASON")
        out.print(table(headers, map(_nearby_row, nearby)))
    else:
        out.print(line("Nothing that the audit log knows of."))
    out.print()


def _nearby_row(entry: NearbyView) -> tuple[Cell, ...]:
    size = abs(entry.after_s)
    apart = f"{size / 60:.0f} min" if size >= 90 else f"{size:.0f} s"
    that_is = f"{apart} {'after' if entry.after_s >= 0 else 'before'}"
    return minute(entry.at), that_is, entry.actor, entry.action, entry.resource, entry.reason
