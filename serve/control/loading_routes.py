"""The routes of the control API that load and unload models."""

from __future__ import annotations

from fastapi import APIRouter, Response

from serve.access.permissions import Permission
from serve.control.answers import errors, tagged
from serve.control.needs import needs
from serve.control.requests import KEYED, Actor, Plane
from serve.control.schemas import LoadBody, RouteView

loading = APIRouter(tags=["traffic"])
_CHANGE = errors(404, 409, 413, 422, 503)


@loading.post(
    "/v1/models/{model}:load",
    summary="Load a model",
    responses=_CHANGE,
    dependencies=[needs(Permission.DEPLOY), KEYED],
)
async def load(
    model: str, body: LoadBody, control: Plane, actor: Actor, response: Response
) -> RouteView:
    """Serve a model as it was when it was unloaded, or its latest version if it never was."""
    return tagged(await control.load(model, actor, body.reason), response)


@loading.post(
    "/v1/models/{model}:unload",
    summary="Unload a model",
    responses=_CHANGE,
    dependencies=[needs(Permission.DEPLOY), KEYED],
)
async def unload(
    model: str, body: LoadBody, control: Plane, actor: Actor, response: Response
) -> RouteView:
    """Serve a model no longer and end its hosts; its versions and its route are kept."""
    return tagged(await control.unload(model, actor, body.reason), response)
