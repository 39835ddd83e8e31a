"""The routes of the control API for rollouts."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Depends, Query, Response

from registry.rollouts import Rollout
from serve.access.permissions import Permission
from serve.control.answers import errors
from serve.control.needs import needs
from serve.control.requests import KEYED, Actor, IfGeneration, Plane
from serve.control.rollout_schemas import (
    AccountView,
    ApproveBody,
    CommandBody,
    DoneView,
    ForceBody,
    RolloutChangesView,
    RolloutChangeView,
    RolloutsView,
    RolloutView,
    StartBody,
)
from serve.control.schemas import etag
from serve.rollout.machine import Command
from serve.rollout.service import Done, Order, Rollouts, Start

rollouts = APIRouter(tags=["rollouts"])
_CHANGE = errors(404, 409, 412, 413, 503)


def _desk(control: Plane) -> Rollouts:
    return control.rollouts


Desk = Annotated[Rollouts, Depends(_desk)]
ActiveOnly = Annotated[bool, Query(description="Only those that are not over.")]


@rollouts.post(
    "/v1/models/{model}/rollouts",
    summary="Start a rollout",
    status_code=201,
    responses=errors(404, 409, 413, 422, 503),
    dependencies=[needs(Permission.DEPLOY), KEYED],
)
async def start_rollout(
    model: str, body: StartBody, desk: Desk, actor: Actor, response: Response
) -> DoneView:
    """Begin to roll a version out; it gets no more traffic than the evidence allows."""
    start = Start(model, body.version, actor, body.reason, body.policy, body.dry_run)
    return _tagged(await desk.start(start), response)


@rollouts.get(
    "/v1/models/{model}/rollouts",
    summary="List a model's rollouts",
    responses=errors(404),
    dependencies=[needs(Permission.READ)],
)
async def list_rollouts_of_model(
    model: str, desk: Desk, active: ActiveOnly = False
) -> RolloutsView:
    """Rollouts of one model, the latest first."""
    return _list(await desk.all(model, active))


@rollouts.get(
    "/v1/rollouts",
    summary="List rollouts",
    responses=errors(),
    dependencies=[needs(Permission.READ)],
)
async def list_rollouts(desk: Desk, active: ActiveOnly = False) -> RolloutsView:
    """Rollouts of all models, the latest first."""
    return _list(await desk.all(None, active))


@rollouts.get(
    "/v1/rollouts/{rollout_id}",
    summary="Show a rollout",
    responses=errors(404),
    dependencies=[needs(Permission.READ)],
)
async def show_rollout(rollout_id: str, desk: Desk, response: Response) -> RolloutView:
    """A rollout as it is now; the `ETag` is the number of its latest change."""
    found = await desk.one(rollout_id)
    response.headers["ETag"] = etag(found.number)
    return RolloutView.of(found)


@rollouts.get(
    "/v1/rollouts/{rollout_id}/explain",
    summary="Explain a rollout",
    responses=errors(404),
    dependencies=[needs(Permission.READ)],
)
async def explain_rollout(rollout_id: str, desk: Desk, response: Response) -> AccountView:
    """What every guardrail says, what is missing, and about how long that will take."""
    account = await desk.explain(rollout_id)
    response.headers["ETag"] = etag(account.rollout.number)
    return AccountView.of(account)


@rollouts.get(
    "/v1/rollouts/{rollout_id}/changes",
    summary="List the changes of a rollout",
    responses=errors(404),
    dependencies=[needs(Permission.READ)],
)
async def list_rollout_changes(rollout_id: str, desk: Desk) -> RolloutChangesView:
    """Every change, the first one first, each with the evidence on which it was made."""
    made = await desk.changes(rollout_id)
    return RolloutChangesView(changes=tuple(map(RolloutChangeView.of, made)))


_COMMANDS = {
    Command.PAUSE: ("Pause a rollout", "Hold it where it is; harm still rolls it back."),
    Command.RESUME: ("Resume a rollout", "Let one that is paused, frozen or inconclusive go on."),
    Command.ADVANCE: (
        "Advance a rollout",
        "Go to the next step before its time, never past the evidence that promotion needs.",
    ),
    Command.ABORT: ("Abort a rollout", "Return to the stable version; answers when it has."),
    Command.FREEZE: (
        "Freeze a rollout",
        "Hold it until somebody resumes or aborts it; harm still rolls it back.",
    ),
    Command.RETRY: ("Retry a rollout", "Begin anew one that was rolled back or has failed."),
    Command.ROLLBACK: (
        "Roll back",
        "Return to the version before, once completed, while it is warm.",
    ),
}


def _offer(command: Command, summary: str, description: str) -> None:
    """Add the route of a command that needs no more than a reason."""

    async def order(
        rollout_id: str,
        body: CommandBody,
        desk: Desk,
        actor: Actor,
        if_number: IfGeneration,
        response: Response,
    ) -> DoneView:
        wanted = Order(command, actor, body.reason, if_number, dry=body.dry_run)
        return _tagged(await desk.command(rollout_id, wanted), response)

    rollouts.post(
        f"/v1/rollouts/{{rollout_id}}:{command.value}",
        name=f"{command.value}_rollout",
        summary=summary,
        description=description,
        responses=_CHANGE,
        dependencies=[needs(Permission.DEPLOY), KEYED],
    )(order)


for _each, (_summary, _description) in _COMMANDS.items():
    _offer(_each, _summary, _description)


@rollouts.post(
    "/v1/rollouts/{rollout_id}:promote",
    summary="Promote before the evidence is there",
    responses=_CHANGE,
    dependencies=[needs(Permission.DEPLOY), KEYED],
)
async def promote_rollout(
    rollout_id: str,
    body: ForceBody,
    desk: Desk,
    actor: Actor,
    if_number: IfGeneration,
    response: Response,
) -> DoneView:
    """Give the candidate all traffic on a named person's reason; harm still rolls it back."""
    order = Order(Command.PROMOTE, actor, body.reason, if_number, dry=body.dry_run)
    return _tagged(await desk.command(rollout_id, order), response)


@rollouts.post(
    "/v1/rollouts/{rollout_id}:approve",
    summary="Approve a rollout",
    responses=_CHANGE,
    dependencies=[needs(Permission.APPROVE), KEYED],
)
async def approve_rollout(
    rollout_id: str,
    body: ApproveBody,
    desk: Desk,
    actor: Actor,
    if_number: IfGeneration,
    response: Response,
) -> DoneView:
    """Agree that a rollout passes a gate, where its policy asks for that."""
    order = Order(Command.APPROVE, actor, body.reason, if_number, body.gate, body.dry_run)
    return _tagged(await desk.command(rollout_id, order), response)


def _list(found: tuple[Rollout, ...]) -> RolloutsView:
    return RolloutsView(rollouts=tuple(map(RolloutView.of, found)))


def _tagged(done: Done, response: Response) -> DoneView:
    response.headers["ETag"] = etag(done.rollout.number)
    return DoneView.of(done)
