"""Keys for tests."""

from __future__ import annotations

from datetime import UTC, datetime

from registry.keys import AccessRole, ApiKey, Token, new_token

NOON = datetime(2026, 11, 24, 12, tzinfo=UTC)
NOON_S = NOON.timestamp()


def token(number: int) -> Token:
    """The token of a number."""
    return new_token(number.to_bytes(4, "big") + number.to_bytes(32, "big"))


def key_of(
    token: Token,
    role: AccessRole = AccessRole.CLIENT,
    rate_per_s: float | None = None,
    expires_at: str | None = None,
    revoked_at: str | None = None,
) -> ApiKey:
    """A key as it is kept, named after its role."""
    return ApiKey(
        id=token.id,
        name=f"a-{role}",
        role=role,
        digest=token.digest,
        rate_per_s=rate_per_s,
        created_by="ada",
        created_at="2026-11-01T00:00:00+00:00",
        expires_at=expires_at,
        revoked_at=revoked_at,
    )


def bearer(token: Token) -> bytes:
    """The header that shows a token."""
    return f"Bearer {token.text()}".encode()
