"""The routes of the control API for alarms."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Query

from registry.alarms import AlarmState
from serve.access.permissions import Permission
from serve.control.alarm_schemas import (
    AcknowledgeBody,
    AlarmsView,
    AlarmView,
    CloseBody,
    SilenceBody,
)
from serve.control.answers import errors
from serve.control.needs import needs
from serve.control.requests import KEYED, Actor, Plane
from serve.control.why_schemas import WhyView

alarms = APIRouter(tags=["signals"])
_CHANGE = errors(404, 409, 413)
_CLOSE = errors(404, 409, 413, 422, 503)


@alarms.get(
    "/v1/alarms",
    summary="List alarms",
    responses=errors(404),
    dependencies=[needs(Permission.READ)],
)
async def list_alarms(
    control: Plane,
    model: Annotated[str | None, Query(description="Of this model only.")] = None,
    state: Annotated[AlarmState | None, Query(description="In this state only.")] = None,
    limit: Annotated[int, Query(ge=1, le=1000, description="How many at most.")] = 100,
) -> AlarmsView:
    """Alarms of all models, also those that are closed; those that are raised come first."""
    states = tuple(AlarmState) if state is None else (state,)
    found = await control.alarms(model, states)
    return AlarmsView(alarms=tuple(AlarmView.of(alarm) for alarm in found[:limit]))


@alarms.get(
    "/v1/alarms/{alarm_id}",
    summary="Show an alarm",
    responses=errors(404),
    dependencies=[needs(Permission.READ)],
)
async def show_alarm(alarm_id: str, control: Plane) -> AlarmView:
    """An alarm as it is now; the audit log has every change of it, as `alarms/{alarm_id}`."""
    return AlarmView.of(await control.alarm(alarm_id))


@alarms.get(
    "/v1/alarms/{alarm_id}/why",
    summary="Explain an alarm",
    responses=errors(404, 409, 503),
    dependencies=[needs(Permission.READ)],
)
async def explain_alarm(alarm_id: str, control: Plane) -> WhyView:
    """What moved, what that did to the score, in which slices, and what else was changed then.

    The model runs again on rows that are kept in memory, beside those who serve it: takes seconds.
    """
    return WhyView.of(await control.explain_alarm(alarm_id))


@alarms.post(
    "/v1/alarms/{alarm_id}:acknowledge",
    summary="Acknowledge an alarm",
    responses=_CHANGE,
    dependencies=[needs(Permission.DEPLOY), KEYED],
)
async def acknowledge_alarm(
    alarm_id: str, body: AcknowledgeBody, control: Plane, actor: Actor
) -> AlarmView:
    """Say that somebody has taken an alarm on; ends a silence."""
    return AlarmView.of(await control.acknowledge_alarm(alarm_id, actor, body.reason))


@alarms.post(
    "/v1/alarms/{alarm_id}:silence",
    summary="Silence an alarm",
    responses=_CHANGE,
    dependencies=[needs(Permission.DEPLOY), KEYED],
)
async def silence_alarm(
    alarm_id: str, body: SilenceBody, control: Plane, actor: Actor
) -> AlarmView:
    """Tell nobody of an alarm for a while; if it still stands then, it is raised again."""
    return AlarmView.of(await control.silence_alarm(alarm_id, body.end(), actor, body.reason))


@alarms.post(
    "/v1/alarms/{alarm_id}:rearm",
    summary="Re-arm what raised an alarm",
    responses=_CLOSE,
    dependencies=[needs(Permission.DEPLOY), KEYED],
)
async def rearm_alarm(alarm_id: str, body: CloseBody, control: Plane, actor: Actor) -> AlarmView:
    """Close an alarm and forget its evidence; the monitor begins anew with the same reference."""
    return AlarmView.of(await control.close_alarm(alarm_id, False, actor, body.reason))


@alarms.post(
    "/v1/alarms/{alarm_id}:adopt",
    summary="Adopt a new reference",
    responses=_CLOSE,
    dependencies=[needs(Permission.DEPLOY), KEYED],
)
async def adopt_reference(
    alarm_id: str, body: CloseBody, control: Plane, actor: Actor
) -> AlarmView:
    """Close all alarms of a version in a role; its monitors learn a reference from rows to come."""
    return AlarmView.of(await control.close_alarm(alarm_id, True, actor, body.reason))
