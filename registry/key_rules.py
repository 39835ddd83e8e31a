"""Which API keys may be made and revoked: pure functions over the keys that there are."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass, replace

from configs.errors import BadInput, Conflict, NotFound
from registry.keys import AccessRole, ApiKey, Token
from registry.naming import check_name
from registry.routing import Change


@dataclass(frozen=True, slots=True)
class Wanted:
    """What somebody asks a key to be; `expires_at` is ISO 8601 in UTC, None for never."""

    name: str
    role: AccessRole
    rate_per_s: float | None = None
    expires_at: str | None = None


def new_key(wanted: Wanted, token: Token, why: Change, known: Iterable[ApiKey]) -> ApiKey:
    """The key of a token.

    `BadInput` for a name that is not allowed, a rate that is not above 0 or an expiry that is not
    to come; `Conflict` if a key that is not revoked has the name.
    """
    check_name(wanted.name, "a key")
    rate = wanted.rate_per_s
    if rate is not None and not (math.isfinite(rate) and rate > 0):
        raise BadInput(f"the rate is {rate:g} requests a second, and must be above 0")
    if wanted.expires_at is not None and wanted.expires_at <= why.at:
        raise BadInput(f"a key that expires at {wanted.expires_at} would never be valid")
    for other in known:
        if other.name == wanted.name and other.revoked_at is None:
            raise Conflict(
                f"key {other.id} has the name {wanted.name!r}: revoke it, or choose another name"
            )
    return ApiKey(
        id=token.id,
        name=wanted.name,
        role=wanted.role,
        digest=token.digest,
        rate_per_s=rate,
        created_by=why.actor,
        created_at=why.at,
        expires_at=wanted.expires_at,
    )


def find_key(key_id: str, known: Iterable[ApiKey]) -> ApiKey:
    """The key of an id; `NotFound` if there is none."""
    for key in known:
        if key.id == key_id:
            return key
    raise NotFound(f"there is no key {key_id[:80]!r}: list the keys to see their ids")


def revoked(key: ApiKey, at: str, known: Iterable[ApiKey]) -> ApiKey:
    """The key after it was revoked.

    `Conflict` if it was before, and for the only admin key that is valid: without one, nobody
    could make another over the API.
    """
    if key.revoked_at is not None:
        raise Conflict(f"key {key.id} ({key.name}) was revoked at {key.revoked_at}")
    admins = [each.id for each in known if each.role is AccessRole.ADMIN and is_valid(each, at)]
    if admins == [key.id]:
        raise Conflict(
            f"key {key.id} ({key.name}) is the only valid admin key, and without one nobody could "
            "make keys over the API: make another admin key first"
        )
    return replace(key, revoked_at=at)


def is_valid(key: ApiKey, at: str) -> bool:
    """Whether a key is neither revoked nor expired at a moment (ISO 8601 in UTC)."""
    return key.revoked_at is None and (key.expires_at is None or at < key.expires_at)
