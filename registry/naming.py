"""Which names models and keys may have, and under which name whoever makes a change is noted."""

from __future__ import annotations

import re

from configs.errors import BadInput

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")

OURSELVES = "weir"
"""Who makes a change that no person does."""


def check_name(name: str, what: str) -> None:
    """`BadInput` for a name that `what`, such as "a model", cannot have."""
    if not _NAME.fullmatch(name):
        raise BadInput(
            f"{name[:80]!r} cannot be the name of {what}: use 1 to 64 letters, digits and "
            "'.', '_', '-', beginning with a letter or digit"
        )


def person(name: str) -> str:
    """The name under which a person is noted: their own, unless it is how Weir names itself.

    The image of a container runs as the user `weir`, who must be able to do all that others can.
    No key can have the name that is given instead.
    """
    return f"{name} (a person)" if name.casefold() == OURSELVES else name
