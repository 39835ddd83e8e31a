"""Which processes go first on a busy machine."""

from __future__ import annotations

import os

_NICE = 5
"""About a third of the weight of a process that answers requests (sched(7))."""


def after_requests() -> None:
    """Have this process wait for those that answer requests; who is nice stays so."""
    os.nice(_NICE)
