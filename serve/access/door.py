"""Decides whether a caller comes in: who it is, whether it may do this, and whether too often."""

from __future__ import annotations

from collections.abc import Iterable

from configs.errors import Forbidden, OverQuota
from registry.keys import ApiKey
from serve.access.keyring import KeyRing
from serve.access.permissions import ROLES, Permission, roles_with
from serve.access.principal import ANONYMOUS, Authenticator, Principal
from serve.access.rates import TokenBucket


class Door:
    """Lets callers in; everybody, and to everything, unless keys are `required`.

    It is one of `replicas` that share the traffic, and keeps to its share of every key's rate.
    Until it has been given keys, it knows nobody.
    """

    def __init__(self, required: bool, replicas: int = 1) -> None:
        self.required = required
        self._replicas = replicas
        self._authenticator: Authenticator = KeyRing(())
        self._buckets: dict[str, TokenBucket] = {}

    def keys(self, keys: Iterable[ApiKey]) -> None:
        """Know these keys and no others; one that stays has used what it has used of its rate."""
        present = tuple(keys)
        self._authenticator = KeyRing(present)
        self._buckets = {
            key.id: self._bucket(key.id, key.rate_per_s)
            for key in present
            if key.rate_per_s is not None
        }

    def admit(
        self, authorization: bytes | None, permission: Permission | None, now_s: float
    ) -> Principal:
        """Give who sent an `Authorization` header, if it may do this now, in Unix seconds.

        `permission` is None for what any valid key is enough for. Raises `Unauthenticated`,
        `Forbidden`, or `OverQuota` with the time after which to try again.
        """
        if not self.required:
            return ANONYMOUS
        principal = self._authenticator.identify(authorization, now_s)
        if permission is not None and permission not in ROLES[principal.role]:
            raise Forbidden(_forbidden(permission))
        self._take(principal, now_s)
        return principal

    def _take(self, principal: Principal, now_s: float) -> None:
        bucket = self._buckets.get(principal.key_id)
        if bucket is None:
            return
        wait_s = bucket.take(now_s)
        if wait_s is not None:
            refusal = OverQuota("this API key has used up its rate: ask more slowly")
            refusal.retry_after_s = wait_s
            raise refusal

    def _bucket(self, key_id: str, rate_per_s: float) -> TokenBucket:
        share = rate_per_s / self._replicas
        kept = self._buckets.get(key_id)
        return kept if kept is not None and kept.rate_per_s == share else TokenBucket(share)


def _forbidden(permission: Permission) -> str:
    roles = " or ".join(roles_with(permission))
    return f"this needs the permission {permission.value!r}: use a key of the role {roles}"
