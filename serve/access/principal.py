"""Who is calling, and the seam at which another way of finding out is put in."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from registry.keys import AccessRole


@dataclass(frozen=True, slots=True)
class Principal:
    """A caller that is known: the name for the audit log, what it is, and the key it showed.

    `key_id` is empty for a caller that nobody asked for a key.
    """

    name: str
    role: AccessRole
    key_id: str


ANONYMOUS = Principal("anonymous", AccessRole.ADMIN, "")
"""Everybody, where no key is asked for."""


class Authenticator(Protocol):
    """**Protocol:** one way to find out who is calling."""

    def identify(self, authorization: bytes | None, now_s: float) -> Principal:
        """Give who sent an `Authorization` header at a time in Unix seconds; `Unauthenticated`."""
