"""API keys of the registry: made once, shown once, revoked once, each with its audit entry."""

from __future__ import annotations

from datetime import datetime

from registry.audit import key_state
from registry.key_rules import Wanted, find_key, new_key, revoked
from registry.keys import ID_BYTES, SECRET_BYTES, AccessRole, ApiKey, Token, new_token
from registry.ledger import Ledger
from registry.moments import utc_text


class Keyring(Ledger):
    """The API keys. Their secrets are never kept, and their digests stay out of the audit log."""

    def keys(self) -> tuple[ApiKey, ...]:
        """All keys, oldest first, also those that were revoked or have expired."""
        with self._lock:
            return self._store.keys()

    def create_key(
        self,
        name: str,
        role: AccessRole,
        rate_per_s: float | None,
        expires_at: datetime | None,
        actor: str,
    ) -> tuple[ApiKey, Token]:
        """Make a key, and the token that shows it, which nobody can read again.

        Errors as `key_rules.new_key`; `BadInput` for an expiry without a time zone.
        """
        wanted = Wanted(name, role, rate_per_s, utc_text(expires_at) if expires_at else None)
        with self._lock:
            why = self._change(actor, "")
            token = new_token(self._entropy(ID_BYTES + SECRET_BYTES))
            key = new_key(wanted, token, why, self._store.keys())
            states = (None, key_state(key))
            self._store.add_key(key, self._entry("create-key", f"keys/{key.id}", states, why))
            return key, token

    def revoke_key(self, key_id: str, actor: str, reason: str) -> ApiKey:
        """End a key for good; errors as `key_rules.find_key` and `key_rules.revoked`."""
        with self._lock:
            known = self._store.keys()
            before = find_key(key_id, known)
            why = self._change(actor, reason)
            after = revoked(before, why.at, known)
            states = (key_state(before), key_state(after))
            entry = self._entry("revoke-key", f"keys/{key_id}", states, why)
            self._store.revoke_key(key_id, why.at, entry)
            return after
