"""Routes that can be reached: any split at first, and any changes of it."""

from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise

from hypothesis import strategies as st

from registry.records import FULL, Route
from registry.routing import Change, Split, promote, rollback, set_weights, split, unload

KNOWN = (1, 2, 3, 4)
WHY = Change(actor="ada", at="2026-01-01T00:00:00.000000+00:00", reason="because")


@st.composite
def splits(draw: st.DrawFn) -> Split:
    """Any division of the traffic over some of the versions, perhaps with a shadow."""
    versions = draw(st.lists(st.sampled_from(KNOWN), min_size=1, unique=True))
    cuts = draw(st.sets(st.integers(1, FULL - 1), min_size=len(versions) - 1, max_size=3))
    edges = [0, *sorted(cuts)[: len(versions) - 1], FULL]
    weights = {
        version: (high - low) / 100
        for version, (low, high) in zip(versions, pairwise(edges), strict=True)
    }
    free = [version for version in KNOWN if version not in versions]
    shadows = [None, *((version, 10.0) for version in free)]
    return split(weights, draw(st.sampled_from(shadows)), KNOWN)


def _step(action: str, wanted: Split, version: int) -> Callable[[Route], Route]:
    if action == "set":
        return lambda route: set_weights(route, wanted, WHY, b"later")
    if action == "promote":
        return lambda route: promote(route, version, WHY, KNOWN)
    if action == "unload":
        return lambda route: unload(route, WHY)
    return lambda route: rollback(route, WHY)


ACTIONS = ("set", "promote", "rollback", "unload")
steps = st.builds(_step, st.sampled_from(ACTIONS), splits(), st.sampled_from(KNOWN))
"""Each gives the next generation, or raises `Conflict`."""
