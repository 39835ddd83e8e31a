"""API keys of a gateway that is not running: how the first admin key is made."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path

from configs.settings import Verify
from registry.keys import AccessRole
from registry.naming import person
from registry.registry import Registry
from serve.control.key_schemas import CreatedKeyView, KeyView
from serve.node.owned import owned


class OfflineKeys:
    """What `ControlClient` does about keys, done to the registry itself."""

    def __init__(self, registry: Registry, actor: str) -> None:
        self._registry = registry
        self._actor = person(actor)

    def keys(self) -> tuple[KeyView, ...]:
        """All API keys, oldest first, also those that were revoked or have expired."""
        return tuple(map(KeyView.of, self._registry.keys()))

    def create_key(
        self,
        name: str,
        role: AccessRole,
        rate_per_s: float | None = None,
        expires_at: datetime | None = None,
    ) -> CreatedKeyView:
        """Make an API key; its token is in this answer and nowhere else."""
        made = self._registry.create_key(name, role, rate_per_s, expires_at, self._actor)
        return CreatedKeyView.of(*made)

    def revoke_key(self, key_id: str, reason: str = "") -> KeyView:
        """End an API key."""
        return KeyView.of(self._registry.revoke_key(key_id, self._actor, reason))


@contextmanager
def offline_keys(data: Path, actor: str) -> Iterator[OfflineKeys]:
    """The keys in a data folder, owned meanwhile; `StartError` if a gateway runs on it."""
    with owned(data):
        registry = Registry.open(data, Verify())
        try:
            yield OfflineKeys(registry, actor)
        finally:
            registry.close()
