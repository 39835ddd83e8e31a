"""Whether this installation's request path is compiled (docs/compiling.md)."""

from __future__ import annotations

from importlib.metadata import version
from importlib.util import find_spec


def compiled() -> bool:
    """Whether requests pass through compiled code, and not through interpreted."""
    found = find_spec("serve.gateway")
    return found is not None and not str(found.origin).endswith(".py")


def described() -> str:
    """Say which version this is, and whether it is compiled."""
    return f"{version('weir-gateway')}{' (compiled)' if compiled() else ''}"
