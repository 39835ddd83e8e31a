"""How rollouts are printed: a list, one with its guardrails, its changes, and a live view."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Sequence
from types import TracebackType
from typing import TYPE_CHECKING, Self

import click
from rich.console import Group, RenderableType
from rich.live import Live

from serve.cli.figures import effect, evidence, minute
from serve.cli.printing import Cell, console, line, print_json, table

if TYPE_CHECKING:
    from serve.control.rollout_schemas import (
        AccountView,
        ArmTimesView,
        GuardrailView,
        RolloutChangeView,
        RolloutView,
    )

_BY_LABELS = ("quality_loss", "shadow_loss")
_STATES = {
    "completed": "bold green",
    "rolled back": "bold red",
    "rolling back": "bold red",
    "failed": "bold red",
    "held": "yellow",
}
_VERDICTS = {"worse": "bold red", "not worse": "green", "cannot tell yet": "yellow"}


def show_list(found: Sequence[RolloutView], every: bool) -> None:
    """Print rollouts, one a line: those under way, or `every` one."""
    if not found:
        click.echo("There has been no rollout yet." if every else "No rollout is under way.")
        return
    headers = ("STATE", "ID", "MODEL", "VERSIONS", "CANDIDATE GETS", "SINCE", "LAST")
    console().print(table(headers, [_row(each) for each in found]))


def show_account(account: AccountView, in_words: bool = False) -> None:
    """Print how a rollout stands."""
    console().print(_account(account, in_words))


def show_changes(changes: Iterable[RolloutChangeView]) -> None:
    """Print what was done so far, the first change first."""
    rows = [
        (
            _second(each.at),
            each.action,
            (_state(each.state.value, each.hold), _STATES.get(each.state.value, "")),
            each.by,
            each.reason,
        )
        for each in changes
    ]
    console().print(line(""))
    console().print(table(("AT", "DONE", "STATE", "BY", "WHY"), rows))


class Follower:
    """Shows one rollout again and again: in place on a terminal, at each change in a pipe."""

    def __init__(self, as_json: bool) -> None:
        self._as_json = as_json
        self._live = Live(console=console(), auto_refresh=False) if _in_place(as_json) else None
        self._told: object = None

    def __enter__(self) -> Self:
        if self._live is not None:
            self._live.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._live is not None:
            self._live.stop()

    def show(self, account: AccountView) -> None:
        """Show how it stands now."""
        if self._live is not None:
            self._live.update(_account(account, in_words=False), refresh=True)
            return
        now = account.rollout
        if now.number != self._told:
            self._told = now.number
            if self._as_json:
                print_json(account)
            else:
                console().print(line(f"{_second(now.at)}  {headline(account)}"))


def _in_place(as_json: bool) -> bool:
    return sys.stdout.isatty() and not as_json


def _account(account: AccountView, in_words: bool) -> RenderableType:
    now = account.rollout
    parts: list[RenderableType] = [
        line(headline(account), _STATES.get(now.state.value, "bold")),
        line(
            f"rollout {now.id}: version {now.candidate} in the place of {now.stable}, started by "
            f"{now.started_by} at {_second(now.started_at)}"
        ),
        line(_traffic(account)),
    ]
    if account.guardrails:
        parts += [line(""), _guardrails(account.guardrails)]
    if in_words:
        parts += [line(""), *(line(f"{g.metric.value}: {g.says}") for g in account.guardrails)]
    parts += _for_show(account)
    if account.waits_for:
        parts += [line(""), line("Waits for:"), *(line(f"  {each}") for each in account.waits_for)]
    if account.notes:
        parts += [line(""), line("Note:"), *(line(f"  {each}") for each in account.notes)]
    return Group(*parts)


def headline(account: AccountView) -> str:
    """Where a rollout is, and why, in a line."""
    now = account.rollout
    step = f", step {now.step} of {len(now.policy['steps'])}" if _on_steps(now) else ""
    why = f": {now.reason}" if now.reason else ""
    return f"{now.model} {now.candidate} is {_state(now.state.where, now.hold)}{step}{why}"


def _on_steps(now: RolloutView) -> bool:
    return now.step > 0 and "canary" in (now.state.value, now.held_from and now.held_from.value)


def _traffic(account: AccountView) -> str:
    weights = account.rollout.weights
    parts = [f"candidate {weights.candidate:g} %"]
    if weights.baseline:
        parts.append(f"baseline {weights.baseline:g} %")
    parts.append(f"stable {weights.stable:g} %")
    if weights.shadow:
        parts.append(f"copied to the candidate {weights.shadow:g} %")
    if account.units_per_s is not None:
        parts.append(f"{account.units_per_s:.3g} units/s meet the candidate")
    if account.pairs_per_s is not None:
        parts.append(f"{account.pairs_per_s:.3g} answers/s compared")
    if account.labelled_per_s is not None:
        parts.append(f"{account.labelled_per_s:.3g} labels/s of its units")
    if account.labelled_pairs_per_s is not None:
        parts.append(f"{account.labelled_pairs_per_s:.3g} labels/s of compared answers")
    return ", ".join(parts)


def _guardrails(guardrails: Sequence[GuardrailView]) -> RenderableType:
    headers = ("GUARDRAIL", "VERDICT", "CANDIDATE", "OTHER", "HARM", "NOT WORSE", "EFFECT", "TIME")
    return table(headers, [_guardrail(each) for each in guardrails])


def _guardrail(guard: GuardrailView) -> tuple[Cell, ...]:
    name = f"{guard.metric.value} (optional)" if guard.optional else guard.metric.value
    return (
        name,
        (guard.verdict, _VERDICTS.get(guard.verdict, "")),
        _counted(guard, "candidate"),
        _counted(guard, guard.compared_with) if guard.compared_with else "-",
        _reached(guard.harm_log10, guard.harm_at),
        _reached(guard.good_log10, guard.good_at),
        effect(guard.estimate, guard.lower, guard.upper),
        "-" if guard.about_s is None else _time(guard.about_s),
    )


def _for_show(account: AccountView) -> list[RenderableType]:
    """What decides nothing: how long answers took, and how scores changed."""
    change = account.score_change
    if not account.times and change is None:
        return []
    parts: list[RenderableType] = [
        line(""),
        line("For show, nothing is decided by it; what is in brackets holds at every look (95 %):"),
    ]
    if account.times:
        shares = (f"{100 * each.share:g} % WITHIN" for each in account.times[0].within)
        headers = ("ANSWERS OF", "NUMBER", *shares, "NONE IN TIME")
        parts.append(table(headers, [_times(each) for each in account.times]))
    if change is not None:
        parts.append(line(change.says))
    return parts


def _times(arm: ArmTimesView) -> tuple[Cell, ...]:
    within = (each.says for each in arm.within)
    return (arm.arm.value, f"{arm.answers:,}", *within, f"{arm.none:,}")


def _counted(guard: GuardrailView, arm: str) -> str:
    if arm not in guard.units and arm not in guard.events:
        return "-"
    of = f"{guard.events.get(arm, 0):,} of {guard.units.get(arm, 0):,}"
    if guard.metric.value in _BY_LABELS:
        of = f"{of} labelled"
    return of if arm == "candidate" else f"{arm} {of}"


def _reached(log10: float, needed: float) -> str:
    return f"{evidence(log10)} of {evidence(needed)}" if needed else "-"


def _time(seconds: float) -> str:
    for size, unit in ((86_400, "d"), (3_600, "h"), (60, "min")):
        if seconds >= 2 * size:
            return f"about {seconds / size:.0f} {unit}"
    return f"about {max(seconds, 1):.0f} s"


def _row(each: RolloutView) -> tuple[Cell, ...]:
    why = f": {each.reason}" if each.reason else ""
    return (
        (_state(each.state.value, each.hold), _STATES.get(each.state.value, "")),
        each.id,
        each.model,
        f"{each.stable} -> {each.candidate}",
        f"{each.weights.candidate:g} %",
        minute(each.entered_at),
        f"{each.by}{why}",
    )


def _state(state: str, hold: object) -> str:
    return f"{state} ({getattr(hold, 'value', hold)})" if hold else state


def _second(moment: str) -> str:
    return f"{moment[:10]} {moment[11:19]}Z"
