"""Which names models and keys may have: safe in paths, headers and metrics."""

from __future__ import annotations

import re

from configs.errors import BadInput

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")


def check_name(name: str, what: str) -> None:
    """`BadInput` for a name that `what`, such as "a model", cannot have."""
    if not _NAME.fullmatch(name):
        raise BadInput(
            f"{name[:80]!r} cannot be the name of {what}: use 1 to 64 letters, digits and "
            "'.', '_', '-', beginning with a letter or digit"
        )
