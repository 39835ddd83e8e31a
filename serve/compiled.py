"""Whether this installation's request path is compiled (docs/compiling.md)."""

from __future__ import annotations

from importlib.util import find_spec


def compiled() -> bool:
    """Whether requests pass through compiled code, and not through interpreted."""
    found = find_spec("serve.gateway")
    return found is not None and not str(found.origin).endswith(".py")
