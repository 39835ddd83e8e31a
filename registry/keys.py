"""API keys: who may call, as what, and how often.

A key is shown once, when it is made: `weir_<id>_<secret>`. What is kept is the SHA-256 of the
secret, which is 256 random bits, so nothing slower is needed.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class AccessRole(StrEnum):
    """What a caller is, which decides what it may do."""

    VIEWER = "viewer"
    CLIENT = "client"
    DEPLOYER = "deployer"
    APPROVER = "approver"
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
    digest: str
    rate_per_s: float | None
    created_by: str
    created_at: str
    expires_at: str | None = None
    revoked_at: str | None = None
