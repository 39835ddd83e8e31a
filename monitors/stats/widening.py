"""By how much a difference between two groups became larger, whatever its direction.

A version treats two groups s apart (one group's share less the other's). The next one changes
that by d. It is further from alike by |s + d| - |s|. Where s and d are known within intervals, so
is that.
"""

from __future__ import annotations

Interval = tuple[float, float]


def widening(apart: float, change: float) -> float:
    """By how much two groups are further apart after a change."""
    return abs(apart + change) - abs(apart)


def widening_interval(apart: Interval, change: Interval) -> Interval:
    """The least and the most that it can be, for all within both intervals.

    It is monotone in how far apart they were, and convex in the change: least where the change
    brings them together, if that is possible, and most at an end.
    """
    least = min(widening(one, min(max(-one, change[0]), change[1])) for one in apart)
    most = max(widening(one, other) for one in apart for other in change)
    return least, most
