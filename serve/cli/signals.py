"""`weir signals`: what the monitors conclude, with the numbers behind it."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import click

from monitors.signal import Verdict
from serve.cli.figures import effect, evidence
from serve.cli.options import as_json, gateway

if TYPE_CHECKING:
    from serve.cli.printing import Cell
    from serve.control.client import ControlClient
    from serve.control.schemas import ArmSignalsView, SignalsView, SignalView

_ORDER = (Verdict.ALARM, Verdict.ERROR, Verdict.INSUFFICIENT_DATA, Verdict.OK)
_STYLES = {
    Verdict.ALARM: "bold red",
    Verdict.ERROR: "magenta",
    Verdict.INSUFFICIENT_DATA: "yellow",
    Verdict.OK: "green",
}


@click.command()
@click.argument("name")
@click.option("--follow", is_flag=True, help="Print again at every change, until Ctrl-C.")
@gateway
@as_json
def signals(name: str, follow: bool, client: ControlClient, as_json: bool) -> None:
    """Say what the monitors see of every version, alarms first.

    EFFECT is how large a change is, in the unit of its signal, with its bounds. EVIDENCE is how
    many times likelier the data are if something has changed than if nothing has.
    """
    if not follow:
        _show(client.signals(name), as_json)
        return
    try:
        _follow(client, name, as_json)
    except KeyboardInterrupt:
        click.echo()


def _follow(client: ControlClient, name: str, as_json: bool, every_s: float = 2.0) -> None:
    before: SignalsView | None = None
    while True:
        now = client.signals(name)
        if now != before:
            click.clear()  # does nothing in a pipe
            _show(now, as_json)
            before = now
        time.sleep(every_s)


def _show(view: SignalsView, as_json: bool) -> None:
    from serve.cli.printing import print_json  # noqa: PLC0415

    if as_json:
        print_json(view)
    elif not view.arms:
        click.echo(f"{view.model}: no traffic has been seen yet, so nothing can be said.")
    else:
        for arm in view.arms:
            _print_arm(arm)


def _print_arm(arm: ArmSignalsView) -> None:
    from serve.cli.printing import console, line, table  # noqa: PLC0415

    out = console()
    out.print(line(f"version {arm.version}, {arm.role}: {_counts(arm)}", _worst_style(arm)))
    if arm.signals:
        ordered = sorted(arm.signals, key=_urgency)
        headers = ("VERDICT", "SIGNAL", "SUBJECT", "EFFECT", "EVIDENCE", "ROWS", "SAYS")
        out.print(table(headers, [_row(signal) for signal in ordered]))
    out.print()


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
    if signal.verdict is not Verdict.INSUFFICIENT_DATA or signal.rows_needed is None:
        return signal.message
    need = f"needs about {signal.rows_needed:,} more rows"
    return f"{signal.message}; {need}" if signal.message else need
