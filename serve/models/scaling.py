"""How many replicas of a version there should be, from how busy those are that there are."""

from __future__ import annotations

import math
from collections.abc import Sequence

from serve.models.busy import Load

_FULL = 0.8
_AIM = 0.7
_EASY = 0.5
"""Shares of their time in which replicas may be busy: above the first there are too few, the second
is what new ones are counted for. One fewer is enough only if the rest stay below the third: far
enough from the first that a steady load has one answer."""


def wanted(loads: Sequence[Load], present: int) -> int:
    """Give how many replicas there should be, told the loads of those that answer.

    While not all that should be `present` have said how busy they are, nothing changes. A replica
    that is always busy hides how much more there is to do: at most twice as many are wanted then.
    """
    if len(loads) < present or not loads:
        return present
    busy = sum(load.busy for load in loads)
    if busy > _FULL * present:
        queued = sum(load.waiting for load in loads)
        return min(max(math.ceil((busy + queued) / _AIM), present + 1), 2 * present)
    if present > 1 and busy < _EASY * (present - 1):
        return max(1, math.ceil(busy / _EASY))
    return present
