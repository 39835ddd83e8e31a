"""`weir labels`: which predictions have their labels, and how late those come."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from serve.cli.options import as_json, gateway

if TYPE_CHECKING:
    from serve.cli.printing import Cell
    from serve.control.client import ControlClient
    from serve.control.label_schemas import ArmLabelsView, CoverageView, DelayView, LabelsView

_UNITS = ((86_400, "d"), (3600, "h"), (60, "min"), (1, "s"))


@click.command()
@click.argument("name")
@gateway
@as_json
def labels(name: str, client: ControlClient, as_json: bool) -> None:
    """Say which predictions have their labels, and how late those come.

    BY AGE counts predictions that are so old at least, and those of them that had their label by
    that age. BY DECISION counts those of the age at which the card expects labels: where one
    decision never gets any, labels alone say nothing about the model as a whole.
    """
    from serve.cli.printing import print_json  # noqa: PLC0415 - slow to import

    view = client.labels(name)
    if as_json:
        print_json(view)
    else:
        _show(view)


def _show(view: LabelsView) -> None:
    from serve.cli.printing import console, line  # noqa: PLC0415

    out = console()
    out.print(
        line(
            f"{view.model}: {view.pending:,} predictions wait for a label, "
            f"{view.waiting:,} labels wait for a prediction"
        )
    )
    happened = [f"{count:,} {name}" for name, count in view.counts.items() if count]
    if happened:
        out.print(line(f"since the first: {', '.join(happened)}"))
    for arm in view.arms:
        out.print()
        _print_arm(arm)


def _print_arm(arm: ArmLabelsView) -> None:
    from serve.cli.printing import console, line, table  # noqa: PLC0415

    out = console()
    share = f" ({arm.labelled / arm.predictions:.1%})" if arm.predictions else ""
    told = f"{arm.predictions:,} predictions, {arm.labelled:,} with a label{share}"
    out.print(line(f"version {arm.version}, {arm.role}: {told}", "bold"))
    if arm.labelled:
        out.print(line(f"labels had come: {', '.join(map(_delay, arm.delays))}"))
    mature = arm.mature
    out.print(
        line(
            f"expected within {_age(arm.expected_delay_s)}: of {mature.predictions:,} "
            f"predictions of that age, {_share(mature)} have theirs"
        )
    )
    headers = ("PREDICTIONS", "WITH LABEL", "SHARE")
    by_age = [(_age(each.age_s), *_cells(each)) for each in arm.by_age if each.predictions]
    if by_age:
        out.print(table(("BY AGE", *headers), by_age))
    by_decision = [(each.decision, *_cells(each)) for each in arm.by_decision]
    if by_decision:
        out.print(table(("BY DECISION", *headers), by_decision))


def _cells(covered: CoverageView) -> tuple[Cell, ...]:
    return f"{covered.predictions:,}", f"{covered.labelled:,}", _share(covered)


def _share(covered: CoverageView) -> str:
    return "-" if covered.share is None else f"{covered.share:.1%}"


def _delay(delay: DelayView) -> str:
    """Such as `90% within 4 h`."""
    when = "later than 30 d" if delay.within_s is None else f"within {_age(delay.within_s)}"
    return f"{delay.share:.0%} {when}"


def _age(seconds: float) -> str:
    """In the largest unit that says it in a whole number, or in days; no time at all is `0 s`."""
    for unit_s, unit in _UNITS:
        if seconds >= unit_s and seconds % unit_s == 0:
            return f"{seconds / unit_s:,.0f} {unit}"
    return f"{seconds / 86_400:.3g} d" if seconds else "0 s"
