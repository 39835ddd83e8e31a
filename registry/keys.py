"""API keys: who may call, as what, and how often.

A key is shown once, when it is made: `weir_<id>_<secret>`. What is kept is the SHA-256 of the
secret, which is 256 random bits, so nothing slower is needed.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from enum import StrEnum
from hashlib import sha256
from typing import NamedTuple

ID_BYTES = 4
SECRET_BYTES = 32
_TOKEN = re.compile(r"weir_([0-9a-f]{8})_([0-9a-f]{64})")


class AccessRole(StrEnum):
    """What a caller is, which decides what it may do."""

    VIEWER = "viewer"
    CLIENT = "client"
    DEPLOYER = "deployer"
    APPROVER = "approver"
    AUDITOR = "auditor"
    ADMIN = "admin"


@dataclass(frozen=True, slots=True)
class ApiKey:
    """One key as it is kept; `digest` is the SHA-256 of its secret in hexadecimal.

    `rate_per_s` is how many requests a second it may make, None for any number. Times are ISO 8601
    in UTC; a key is valid until `expires_at` or `revoked_at`, whichever comes first.
    """

    id: str
    name: str
    role: AccessRole
    digest: str = field(repr=False)
    rate_per_s: float | None
    created_by: str
    created_at: str
    expires_at: str | None = None
    revoked_at: str | None = None


class Token(NamedTuple):
    """What a caller shows: the id of its key, and the secret, in hexadecimal."""

    id: str
    secret: str

    def text(self) -> str:
        """Give the token as the caller keeps it."""
        return f"weir_{self.id}_{self.secret}"

    def __repr__(self) -> str:
        return f"Token({self.id})"

    @property
    def digest(self) -> str:
        """The SHA-256 of the secret, in hexadecimal."""
        return sha256(bytes.fromhex(self.secret)).hexdigest()


def new_token(entropy: bytes) -> Token:
    """Make a token out of `ID_BYTES + SECRET_BYTES` random bytes."""
    return Token(entropy[:ID_BYTES].hex(), entropy[ID_BYTES:].hex())


def read_token(text: str) -> Token | None:
    """Give the token in a text, or None if it is none."""
    found = _TOKEN.fullmatch(text)
    return Token(found[1], found[2]) if found else None
