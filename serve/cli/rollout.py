"""`weir rollout`: a new version gets its traffic on evidence, and people steer."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING

import click

from configs.errors import ModelNotFound, NotFound
from serve.cli.options import as_json, gateway

if TYPE_CHECKING:
    from serve.control.client import ControlClient
    from serve.control.rollout_schemas import AccountView, DoneView, RolloutView

_WHICH = "WHICH"
_REASON = "Why; it goes into the audit log."
_AGAIN_S = 1.0
_ENDED_WELL = "completed"
_OVER = (_ENDED_WELL, "rolled back", "failed")

_dry_run = click.option("--dry-run", is_flag=True, help="Say what would happen; change nothing.")
_follow_it = click.option(
    "--follow", is_flag=True, help="Show how it stands until it is over; exit 1 unless completed."
)


@click.group()
def rollout() -> None:
    """Roll a version out on evidence, and steer it on its way.

    \b
    weir rollout start credit 2 --follow               until it is promoted, or rolled back
    weir rollout start credit 2 --policy careful.yaml  what it must show, instead of the default
    weir rollout status                                all that are under way
    weir rollout status credit --follow                how one stands, as it goes
    weir rollout explain credit                        what each guardrail says, and what is missing
    weir rollout abort credit                          everybody back to the version before, at once

    WHICH is the name of a model, which means its latest rollout, or the id of a rollout.
    """  # noqa: D301 - the marker that keeps these lines apart


@rollout.command()
@click.argument("name")
@click.argument("version", type=click.IntRange(min=1))
@click.option(
    "--policy",
    "policy_file",
    metavar="FILE",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="A policy in YAML; what it leaves out is as configured for the model.",
)
@click.option("--reason", default="", help=_REASON)
@_dry_run
@_follow_it
@gateway
@as_json
def start(
    name: str,
    version: int,
    policy_file: Path | None,
    reason: str,
    dry_run: bool,
    follow: bool,
    client: ControlClient,
    as_json: bool,
) -> None:
    """Begin to roll VERSION of the model NAME out."""
    if dry_run and follow:
        raise click.UsageError("what is not done cannot be followed: leave out one of the two.")
    policy = _policy(policy_file) if policy_file is not None else None
    done = client.start_rollout(name, version, policy, reason, dry_run)
    if follow:
        _follow(client, done.rollout.id, as_json)
    else:
        _show_done(done, as_json)


@rollout.command()
@click.argument("which", metavar=f"[{_WHICH}]", required=False)
@click.option("--all", "every", is_flag=True, help="Also those that are over.")
@_follow_it
@gateway
@as_json
def status(
    which: str | None, every: bool, follow: bool, client: ControlClient, as_json: bool
) -> None:
    """Say how rollouts stand: one, or all that are under way."""
    from serve.cli.printing import print_json  # noqa: PLC0415
    from serve.cli.rollout_view import show_account, show_list  # noqa: PLC0415

    if which is None:
        if follow:
            raise click.UsageError("name one to follow.")
        found = client.rollouts(active=not every)
        if as_json:
            print_json(found)
        else:
            show_list(found, every)
        return
    chosen = _find(client, which)
    if follow:
        _follow(client, chosen.id, as_json)
        return
    account = client.explain_rollout(chosen.id)
    if as_json:
        print_json(account)
    else:
        show_account(account)


@rollout.command()
@click.argument("which", metavar=_WHICH)
@gateway
@as_json
def explain(which: str, client: ControlClient, as_json: bool) -> None:
    """Say what each guardrail says, what is missing, and what was done so far."""
    from serve.cli.printing import print_json  # noqa: PLC0415
    from serve.cli.rollout_view import show_account, show_changes  # noqa: PLC0415

    account = client.explain_rollout(_find(client, which).id)
    if as_json:
        print_json(account)
        return
    show_account(account, in_words=True)
    show_changes(client.rollout_changes(account.rollout.id))


@rollout.command()
@click.argument("which", metavar=_WHICH)
@click.option("--gate", type=click.Choice(["canary", "promotion"]), help="Which one, if not next.")
@click.option("--reason", default="", help=_REASON)
@_dry_run
@gateway
@as_json
def approve(
    which: str,
    gate: str | None,
    reason: str,
    dry_run: bool,
    client: ControlClient,
    as_json: bool,
) -> None:
    """Agree that a rollout passes a gate, where its policy asks for that."""
    now = _find(client, which)
    _show_done(client.approve_rollout(now.id, gate, reason, now.number, dry_run), as_json)


def _steer(command: str, says: str, needs_reason: bool) -> None:
    """Add a command that needs no more than which rollout, and perhaps why."""

    @rollout.command(command, help=says)
    @click.argument("which", metavar=_WHICH)
    @click.option("--reason", required=needs_reason, help=_REASON)
    @_dry_run
    @gateway
    @as_json
    def steer(which: str, reason: str, dry_run: bool, client: ControlClient, as_json: bool) -> None:
        now = _find(client, which)
        # Whoever wants out is not told first that somebody else has changed something.
        if_number = None if command in _AT_ONCE else now.number
        done = client.command_rollout(now.id, command, reason or "", if_number, dry_run)
        _show_done(done, as_json)


_AT_ONCE = ("abort", "rollback", "pause", "freeze")

for _command, _says, _needs in (
    ("pause", "Hold a rollout where it is; harm still rolls it back.", False),
    ("resume", "Let one that is paused, frozen or inconclusive go on.", False),
    ("advance", "Go to the next step before its time.", True),
    ("promote", "Give the candidate all traffic before the evidence is there.", True),
    ("abort", "Return everybody to the version before, at once.", False),
    ("freeze", "Hold a rollout until somebody resumes it; harm still rolls it back.", True),
    ("retry", "Begin one anew that was rolled back or has failed.", False),
    ("rollback", "Return to the version before, after a rollout was completed.", True),
):
    _steer(_command, _says, _needs)


def _policy(file: Path) -> Mapping[str, object]:
    from configs.load import read_yaml  # noqa: PLC0415

    return read_yaml(file)


def _find(client: ControlClient, which: str) -> RolloutView:
    """The rollout of an id, or the latest of a model."""
    try:
        of_model = client.rollouts(which)
    except ModelNotFound:
        of_model = None
    if of_model:
        return of_model[0]
    try:
        return client.rollout(which)
    except NotFound:
        if of_model is None:
            message = f"{which!r} is neither a model nor a rollout: see `weir rollout status --all`"
        else:
            message = f"{which!r} has had no rollout yet: `weir rollout start {which} VERSION`"
        raise NotFound(message) from None


def _show_done(done: DoneView, as_json: bool) -> None:
    from serve.cli.printing import console, line, print_json  # noqa: PLC0415

    if as_json:
        print_json(done)
        return
    would = "Would: " if done.dry_run else ""
    name = f"rollout {done.rollout.id} of {done.rollout.model}" if done.rollout.id else "a rollout"
    console().print(line(f"{would}{name}: {done.says}"))


def _follow(client: ControlClient, rollout_id: str, as_json: bool) -> None:
    """Show how a rollout stands until it is over."""
    from serve.cli.rollout_view import Follower  # noqa: PLC0415

    try:
        with Follower(as_json) as shown:
            last = _until_over(client, rollout_id, shown.show)
    except KeyboardInterrupt:
        click.echo(f"\nThe rollout goes on: weir rollout status {rollout_id}", err=True)
        raise
    if last.rollout.state.value != _ENDED_WELL:
        click.get_current_context().exit(1)


def _until_over(
    client: ControlClient, rollout_id: str, show: Callable[[AccountView], None]
) -> AccountView:
    while True:
        account = client.explain_rollout(rollout_id)
        show(account)
        if account.rollout.state.value in _OVER:
            return account
        time.sleep(_AGAIN_S)
