"""`weir signals`: what the monitors conclude, with the numbers behind it."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from typing import TYPE_CHECKING

import click

from monitors.signal import Verdict
from serve.cli.figures import effect, evidence
from serve.cli.options import as_json, gateway

if TYPE_CHECKING:
    from serve.cli.printing import Cell
    from serve.control.client import ControlClient
    from serve.control.schemas import ArmSignalsView, DistanceView, SignalsView, SignalView

_ORDER = (Verdict.ALARM, Verdict.ERROR, Verdict.INSUFFICIENT_DATA, Verdict.OK)
_CALLING = (Verdict.ALARM, Verdict.ERROR)
"""What nobody must miss."""
_ALIKE_MAX = 5
_STYLES = {
    Verdict.ALARM: "bold red",
    Verdict.ERROR: "magenta",
    Verdict.INSUFFICIENT_DATA: "yellow",
    Verdict.OK: "green",
}


@click.command()
@click.argument("name")
@click.option("--follow", is_flag=True, help="Print again at every change, until Ctrl-C.")
@click.option(
    "--all", "every", is_flag=True, help="Give each subject a line, also those that are ok."
)
@click.option("--distances", is_flag=True, help="Add PSI and other familiar distances.")
@gateway
@as_json
def signals(
    name: str, follow: bool, every: bool, distances: bool, client: ControlClient, as_json: bool
) -> None:
    """Say what the monitors see of every version, alarms first.

    EFFECT is how large a change is, in the unit of its signal, with its bounds. EVIDENCE is how
    many times likelier the data are if something has changed than if nothing has.

    Where a signal says the same of more than five subjects that are not in alarm, they share a
    line, with the strongest evidence of them; --all gives each its own.

    With --distances, PSI and other familiar distances follow, each with a 95 % interval of what it
    would be without noise. Nobody is paged on them. JSON always has them.

    Insufficient data says how many rows it lacks, or that more rows alone will not change that.
    """
    show = _show_json if as_json else partial(show_signals, every=every, with_distances=distances)
    if not follow:
        show(client.signals(name))
        return
    try:
        _follow(client, name, show)
    except KeyboardInterrupt:
        click.echo()


def _follow(
    client: ControlClient, name: str, show: Callable[[SignalsView], None], every_s: float = 2.0
) -> None:
    before: SignalsView | None = None
    while True:
        now = client.signals(name)
        if now != before:
            click.clear()  # does nothing in a pipe
            show(now)
            before = now
        time.sleep(every_s)


def _show_json(view: SignalsView) -> None:
    from serve.cli.printing import print_json  # noqa: PLC0415

    print_json(view)


def show_signals(view: SignalsView, every: bool = False, with_distances: bool = False) -> None:
    """Print what the monitors see of every version, alarms first."""
    if not view.arms:
        click.echo(f"{view.model}: no traffic has been seen yet, so nothing can be said.")
    for arm in view.arms:
        _print_arm(arm, every)
        if with_distances:
            _print_distances(arm)


def _print_arm(arm: ArmSignalsView, every: bool) -> None:
    from serve.cli.printing import console, line, table  # noqa: PLC0415

    out = console()
    out.print(line(f"version {arm.version}, {arm.role}: {_counts(arm)}", _worst_style(arm)))
    if arm.signals:
        headers = ("VERDICT", "SIGNAL", "SUBJECT", "EFFECT", "EVIDENCE", "ROWS", "SAYS")
        out.print(table(headers, list(_rows(sorted(arm.signals, key=_urgency), every))))
    out.print()


def _print_distances(arm: ArmSignalsView) -> None:
    from serve.cli.printing import console, line, table  # noqa: PLC0415

    out = console()
    headers = ("SIGNAL", "SUBJECT", "DISTANCE", "VALUE", "95 % INTERVAL", "P-VALUE")
    rows = [
        _distance_row(signal, distance)
        for signal in sorted(arm.signals, key=_urgency)
        for distance in signal.distances
    ]
    out.print(line(f"version {arm.version}, {arm.role}: familiar distances, for show", "bold"))
    if rows:
        out.print(table(headers, rows))
    else:
        out.print(line("None: no signal has both a reference and enough rows."))
    out.print()


def _distance_row(signal: SignalView, distance: DistanceView) -> tuple[Cell, ...]:
    return (
        signal.name,
        signal.subject,
        distance.name,
        f"{distance.value:.3g}",
        f"{distance.lower:.3g} to {distance.upper:.3g}",
        "-" if distance.p_value is None else f"{distance.p_value:.2g}",
    )


def _counts(arm: ArmSignalsView) -> str:
    """Such as `1 alarm, 3 ok, after 1,200 sampled rows`."""
    verdicts = [signal.verdict for signal in arm.signals]
    parts = [f"{verdicts.count(v)} {v.value}" for v in _ORDER if v in verdicts]
    return f"{', '.join(parts) or 'no signals'}, after {arm.rows:,} sampled rows"


def _worst_style(arm: ArmSignalsView) -> str:
    verdicts = {signal.verdict for signal in arm.signals}
    return next((_STYLES[verdict] for verdict in _ORDER if verdict in verdicts), "bold")


def _urgency(signal: SignalView) -> tuple[int, float, str, str]:
    """Alarms first, the strongest evidence first among equals."""
    evidence = signal.log10_evidence if signal.log10_evidence is not None else float("-inf")
    return _ORDER.index(signal.verdict), -evidence, signal.name, signal.subject


def _rows(ordered: Sequence[SignalView], every: bool) -> Iterator[tuple[Cell, ...]]:
    """A row for each signal; many alike that call nobody share one, where the first would stand."""
    alike: dict[tuple[Verdict, str], list[SignalView]] = {}
    for signal in ordered:
        alike.setdefault((signal.verdict, signal.name), []).append(signal)
    told = set()
    for signal in ordered:
        members = alike[signal.verdict, signal.name]
        if every or signal.verdict in _CALLING or len(members) <= _ALIKE_MAX:
            yield _row(signal)
        elif (signal.verdict, signal.name) not in told:
            told.add((signal.verdict, signal.name))
            yield _shared_row(members)


def _shared_row(members: Sequence[SignalView]) -> tuple[Cell, ...]:
    """Many signals in one row, told of by the first, which has the most evidence."""
    first = members[0]
    row = _row(first)
    subjects = f"{len(members)} subjects"
    return (*row[:2], subjects, "-", *row[4:6], f"such as {first.subject}: {_says(first)}")


def _row(signal: SignalView) -> tuple[Cell, ...]:
    return (
        (signal.verdict.value, _STYLES[signal.verdict]),
        signal.name,
        signal.subject,
        effect(signal.value, signal.lower, signal.upper),
        evidence(signal.log10_evidence),
        f"{signal.rows:,}",
        _says(signal),
    )


def _says(signal: SignalView) -> str:
    if signal.verdict is not Verdict.INSUFFICIENT_DATA:
        return signal.message
    need = "more rows alone will not change that"
    if signal.rows_needed is not None:
        need = f"needs about {signal.rows_needed:,} more rows"
    return f"{signal.message}; {need}" if signal.message else need
