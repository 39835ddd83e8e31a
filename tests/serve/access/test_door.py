"""Callers come in or are told why not."""

from __future__ import annotations

import pytest

from configs.errors import Forbidden, OverQuota, Unauthenticated
from registry.keys import AccessRole
from serve.access.door import Door
from serve.access.permissions import ROLES, Permission, roles_with
from serve.access.principal import ANONYMOUS
from tests.serve.access.keys import NOON_S, bearer, key_of, token

GOOD = token(1)


def door_of(role: AccessRole, rate_per_s: float | None = None, replicas: int = 1) -> Door:
    """A door that knows one key."""
    door = Door(required=True, replicas=replicas)
    door.keys([key_of(GOOD, role, rate_per_s)])
    return door


def admitted(door: Door, at_s: float, most: int = 1000) -> int:
    """How many of `most` requests at one moment come in."""
    count = 0
    for _ in range(most):
        try:
            door.admit(bearer(GOOD), Permission.INFER, at_s)
        except OverQuota:
            return count
        count += 1
    return count


def test_without_keys_everybody_may_do_everything() -> None:
    """A door that asks for nothing lets in anything, valid or not."""
    door = Door(required=False)

    for permission in Permission:
        assert door.admit(None, permission, NOON_S) is ANONYMOUS
        assert door.admit(b"Bearer nonsense", permission, NOON_S) is ANONYMOUS


def test_a_door_knows_nobody_before_it_has_keys() -> None:
    """While the keys are on their way, the door is shut."""
    with pytest.raises(Unauthenticated):
        Door(required=True).admit(bearer(GOOD), Permission.DESCRIBE, NOON_S)


@pytest.mark.parametrize("role", AccessRole)
@pytest.mark.parametrize("permission", Permission)
def test_a_role_may_do_what_its_row_says(role: AccessRole, permission: Permission) -> None:
    """The table of roles is what decides, and the refusal names the permission, not the key."""
    door = door_of(role)

    if permission in ROLES[role]:
        assert door.admit(bearer(GOOD), permission, NOON_S).role is role
        return
    with pytest.raises(Forbidden) as refused:
        door.admit(bearer(GOOD), permission, NOON_S)
    assert repr(permission.value) in refused.value.message
    assert GOOD.id not in refused.value.message
    assert f"a-{role}" not in refused.value.message


def test_the_roles_are_these() -> None:
    """What a role may do changes only on purpose."""
    rows = {role.value: {each.value for each in permissions} for role, permissions in ROLES.items()}

    assert rows == {
        "viewer": {"describe", "read"},
        "client": {"describe", "infer"},
        "deployer": {"describe", "infer", "read", "deploy"},
        "approver": {"describe", "read", "approve"},
        "auditor": {"describe", "audit"},
        "admin": {"describe", "infer", "read", "deploy", "approve", "audit", "administer"},
    }
    assert roles_with(Permission.DEPLOY) == (AccessRole.DEPLOYER, AccessRole.ADMIN)
    assert roles_with(Permission.AUDIT) == (AccessRole.AUDITOR, AccessRole.ADMIN)


def test_any_valid_key_is_enough_where_no_permission_is_named() -> None:
    """An unknown path is answered to callers that are known, and to nobody else."""
    door = door_of(AccessRole.VIEWER)

    assert door.admit(bearer(GOOD), None, NOON_S).role is AccessRole.VIEWER
    with pytest.raises(Unauthenticated):
        door.admit(None, None, NOON_S)


def test_a_key_that_asks_too_often_is_told_when_to_come_back() -> None:
    """The refusal carries the seconds to wait."""
    door = door_of(AccessRole.CLIENT, rate_per_s=2.0)
    assert admitted(door, NOON_S) == 1

    with pytest.raises(OverQuota) as refused:
        door.admit(bearer(GOOD), Permission.INFER, NOON_S)

    assert refused.value.retry_after_s == pytest.approx(0.5)


def test_replicas_share_the_rate() -> None:
    """Four doors together let through what one alone would."""
    assert admitted(door_of(AccessRole.CLIENT, rate_per_s=400.0), NOON_S) == 200
    assert admitted(door_of(AccessRole.CLIENT, rate_per_s=400.0, replicas=4), NOON_S) == 50


def test_new_keys_do_not_refill_what_a_key_has_used() -> None:
    """A key that stays goes on where it was; one that is gone is unknown at once."""
    door = door_of(AccessRole.CLIENT, rate_per_s=10.0)
    assert admitted(door, NOON_S) == 5

    door.keys([key_of(GOOD, AccessRole.CLIENT, 10.0), key_of(token(2))])
    assert admitted(door, NOON_S) == 0
    assert door.admit(bearer(token(2)), Permission.INFER, NOON_S).key_id == token(2).id

    door.keys([key_of(token(2))])
    with pytest.raises(Unauthenticated):
        door.admit(bearer(GOOD), Permission.INFER, NOON_S)


def test_a_refused_permission_uses_up_no_rate() -> None:
    """A caller that may not do a thing is told that, however often it asks."""
    door = door_of(AccessRole.CLIENT, rate_per_s=2.0)

    for _ in range(10):
        with pytest.raises(Forbidden):
            door.admit(bearer(GOOD), Permission.DEPLOY, NOON_S)

    assert admitted(door, NOON_S) == 1
