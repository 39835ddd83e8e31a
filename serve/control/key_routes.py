"""The routes of the control API for API keys."""

from __future__ import annotations

from fastapi import APIRouter, Response

from serve.access.permissions import Permission
from serve.control.answers import errors
from serve.control.key_schemas import (
    CreatedKeyView,
    CreateKeyBody,
    KeysView,
    KeyView,
    RevokeKeyBody,
)
from serve.control.needs import needs
from serve.control.requests import KEYED, Actor, Plane

keys = APIRouter(tags=["keys"])


@keys.get(
    "/v1/keys",
    summary="List keys",
    responses=errors(),
    dependencies=[needs(Permission.ADMINISTER)],
)
async def list_keys(control: Plane) -> KeysView:
    """All API keys, oldest first, also those that were revoked or have expired."""
    return KeysView(keys=tuple(KeyView.of(key) for key in await control.keys()))


@keys.post(
    "/v1/keys",
    summary="Make a key",
    status_code=201,
    responses=errors(409, 413, 503),
    dependencies=[needs(Permission.ADMINISTER), KEYED],
)
async def create_key(
    body: CreateKeyBody, control: Plane, actor: Actor, response: Response
) -> CreatedKeyView:
    """Make an API key. The token is in this answer and nowhere else: keep it now."""
    response.headers["Cache-Control"] = "no-store"
    made = await control.create_key(body.name, body.role, body.rate_per_s, body.expires_at, actor)
    return CreatedKeyView.of(*made)


@keys.post(
    "/v1/keys/{key_id}:revoke",
    summary="Revoke a key",
    responses=errors(404, 409, 413, 503),
    dependencies=[needs(Permission.ADMINISTER), KEYED],
)
async def revoke_key(key_id: str, body: RevokeKeyBody, control: Plane, actor: Actor) -> KeyView:
    """End an API key for good; answers when no gateway replica takes it any more."""
    return KeyView.of(await control.revoke_key(key_id, actor, body.reason))
