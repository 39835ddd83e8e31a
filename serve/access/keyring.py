"""Knows callers by their API keys."""

from __future__ import annotations

import math
from collections.abc import Iterable
from datetime import datetime
from hmac import compare_digest
from typing import NamedTuple

from configs.errors import Unauthenticated
from registry.keys import AccessRole, ApiKey, Token, read_token
from serve.access.principal import Principal

_SCHEME = b"bearer "
_SENTENCE = "this needs a valid API key, sent as `Authorization: Bearer weir_...`"


class _Held(NamedTuple):
    """What is known of a key: who shows it, the digest of its secret, and until when it is valid.

    The time is in Unix seconds.
    """

    principal: Principal
    digest: str
    until_s: float


_NOBODY = _Held(Principal("nobody", AccessRole.VIEWER, ""), "0" * 64, -math.inf)
"""Compared with instead of a key that does not exist, so that both take the same way."""


class KeyRing:
    """An `Authenticator` of `Authorization: Bearer weir_<id>_<secret>`.

    Whatever is wrong with a key, the answer is the same sentence.
    """

    def __init__(self, keys: Iterable[ApiKey]) -> None:
        self._held = {
            key.id: _Held(Principal(key.name, key.role, key.id), key.digest, valid_until(key))
            for key in keys
        }

    def identify(self, authorization: bytes | None, now_s: float) -> Principal:
        """Give whose key is shown at a time in Unix seconds; `Unauthenticated` if it is none."""
        token = _bearer(authorization)
        if token is None:
            raise Unauthenticated(_SENTENCE)
        held = self._held.get(token.id, _NOBODY)
        right = compare_digest(token.digest, held.digest)
        if right and now_s < held.until_s:
            return held.principal
        raise Unauthenticated(_SENTENCE)


def valid_until(key: ApiKey) -> float:
    """Give the time in Unix seconds at which a key stops to be valid, infinite if it never does."""
    ends = (end for end in (key.expires_at, key.revoked_at) if end is not None)
    return min((datetime.fromisoformat(end).timestamp() for end in ends), default=math.inf)


def has_admin(keys: Iterable[ApiKey], now_s: float) -> bool:
    """Whether any key of an administrator is valid at a time in Unix seconds."""
    return any(key.role is AccessRole.ADMIN and now_s < valid_until(key) for key in keys)


def _bearer(authorization: bytes | None) -> Token | None:
    if authorization is None or authorization[: len(_SCHEME)].lower() != _SCHEME:
        return None
    return read_token(authorization[len(_SCHEME) :].decode("latin-1"))
