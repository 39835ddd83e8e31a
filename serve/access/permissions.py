"""What a caller can be allowed to do, and which role is allowed what."""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum
from types import MappingProxyType

from registry.keys import AccessRole


class Permission(StrEnum):
    """One kind of thing that a caller can be allowed to do."""

    DESCRIBE = "describe"
    """Ask the inference ports for metadata and readiness."""
    INFER = "infer"
    """Ask a model for answers, and say later what was true."""
    READ = "read"
    """Read the control API and `/metrics`."""
    DEPLOY = "deploy"
    """Register, route, promote, roll back, load, unload and replace; answer alarms."""
    APPROVE = "approve"
    """Let a rollout go on that waits for a person."""
    AUDIT = "audit"
    """Send group attributes over the channel for audits."""
    ADMINISTER = "administer"
    """Make and revoke keys."""


_P = Permission
ROLES: Mapping[AccessRole, frozenset[Permission]] = MappingProxyType(
    {
        AccessRole.VIEWER: frozenset({_P.DESCRIBE, _P.READ}),
        AccessRole.CLIENT: frozenset({_P.DESCRIBE, _P.INFER}),
        AccessRole.DEPLOYER: frozenset({_P.DESCRIBE, _P.INFER, _P.READ, _P.DEPLOY}),
        AccessRole.APPROVER: frozenset({_P.DESCRIBE, _P.READ, _P.APPROVE}),
        AccessRole.AUDITOR: frozenset({_P.DESCRIBE, _P.AUDIT}),
        AccessRole.ADMIN: frozenset(Permission),
    }
)
"""What each role may do."""


def roles_with(permission: Permission) -> tuple[AccessRole, ...]:
    """Give the roles that have a permission, the least powerful first."""
    having = [role for role, permissions in ROLES.items() if permission in permissions]
    return tuple(sorted(having, key=lambda role: len(ROLES[role])))
