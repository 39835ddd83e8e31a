"""The door of the control API knows the keys that there are."""

from __future__ import annotations

import asyncio
import time
from pathlib import Path

import pytest

from configs.errors import Unauthenticated
from configs.settings import Verify
from registry.keys import AccessRole, Token
from registry.registry import Registry
from serve.access.permissions import Permission
from tests.serve.access.keys import bearer
from tests.serve.control.planes import Plane


def name_of(plane: Plane, token: Token) -> str:
    """Who the door takes the holder of a token for."""
    return plane.door.admit(bearer(token), Permission.DESCRIBE, time.time()).name


async def test_the_door_knows_the_keys_from_the_start_and_after_every_change(
    tmp_path: Path,
) -> None:
    """A key made before the start comes in, so does a new one, and one that is revoked does not."""
    registry = Registry.open(tmp_path, Verify())
    _, root = registry.create_key("root", AccessRole.ADMIN, None, None, "ada")
    plane = Plane(registry)
    with pytest.raises(Unauthenticated):
        name_of(plane, root)

    await plane.control.open()
    assert name_of(plane, root) == "root"

    key, token = await plane.control.create_key("ci", AccessRole.DEPLOYER, None, None, "root")
    assert name_of(plane, token) == "ci"

    await plane.control.revoke_key(key.id, "root", "lost")
    with pytest.raises(Unauthenticated):
        name_of(plane, token)
    assert name_of(plane, root) == "root"

    for gateway in plane.gateways:
        gateway.task.cancel()
    await asyncio.gather(*(gateway.task for gateway in plane.gateways), return_exceptions=True)
    registry.close()
