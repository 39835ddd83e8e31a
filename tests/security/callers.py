"""Everybody who might call: with every role, and with every kind of key that is none."""

from __future__ import annotations

from registry.keys import AccessRole, ApiKey, Token
from serve.access.door import Door
from tests.serve.access.keys import bearer, key_of, token

LONG_AGO = "2001-01-01T00:00:00+00:00"
ROLES = {role: token(1 + number) for number, role in enumerate(AccessRole)}
REVOKED = token(100)
EXPIRED = token(101)
UNKNOWN = token(102)
NOBODIES: dict[str, bytes | None] = {
    "no key": None,
    "malformed": b"Bearer weir_admin",
    "other scheme": b"Basic d2VpcjphZG1pbg==",
    "unknown id": bearer(UNKNOWN),
    "wrong secret": bearer(Token(ROLES[AccessRole.ADMIN].id, UNKNOWN.secret)),
    "revoked": bearer(REVOKED),
    "expired": bearer(EXPIRED),
}
"""What a caller shows that must be known nowhere."""


def keys() -> list[ApiKey]:
    """One key of every role, and two of administrators that have ended."""
    ended = [
        key_of(REVOKED, AccessRole.ADMIN, revoked_at=LONG_AGO),
        key_of(EXPIRED, AccessRole.ADMIN, expires_at=LONG_AGO),
    ]
    return [*(key_of(shown, role) for role, shown in ROLES.items()), *ended]


def shut_door() -> Door:
    """A door that asks for keys and knows these."""
    door = Door(required=True)
    door.keys(keys())
    return door


def headers(authorization: bytes | None) -> dict[str, str]:
    """The header that shows what a caller has."""
    return {} if authorization is None else {"Authorization": authorization.decode()}
