"""Which versions of a model have proved themselves: pure functions of the generations of its route.

A version is proven when it has had all of the traffic. It has to prove itself again once it has
lost its traffic, by a rollback or otherwise; only the stable version that another one has taken
over from, and that is kept as `previous`, has lost nothing.
"""

from __future__ import annotations

from collections.abc import Iterable

from registry.records import Route


def proven(before: frozenset[int], last: Route | None, route: Route) -> frozenset[int]:
    """The proven versions at a generation, from those at the last one (None: it is the first)."""
    arms = _arms(route)
    kept = before if last is None else before - _left(last, route)
    return kept | arms if len(arms) == 1 else kept


def proven_by(generations: Iterable[Route]) -> frozenset[int]:
    """The proven versions after all generations of a route, which come in order."""
    found: frozenset[int] = frozenset()
    last = None
    for route in generations:
        found, last = proven(found, last, route), route
    return found


def _left(last: Route, route: Route) -> frozenset[int]:
    """The versions that lost their traffic.

    Being `previous` is not enough: a rollback may leave an arm that was `previous` before, too.
    """
    gone = _arms(last) - _arms(route)
    return gone - {last.stable} if last.stable == route.previous else gone


def _arms(route: Route) -> frozenset[int]:
    return frozenset(arm.version for arm in route.arms)
