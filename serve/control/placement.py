"""Where a version runs: in a host of its own, or in one that many versions share."""

from __future__ import annotations

from collections.abc import Collection
from enum import StrEnum

from configs.settings import Hosts
from registry.records import Judged, RoutedModel, Version


class Place(StrEnum):
    """The kinds of host: the baseline's are those of a version's own kind, beside its others."""

    OWN = "own"
    SHARED = "shared"
    BASELINE = "baseline"


def may_share(version: Version, hosts: Hosts) -> bool:
    """Whether a version is small enough to share a host, if it is proven.

    Versions whose processes follow their load, or that may run on a GPU, have hosts of their own.
    """
    plain = not hosts.scales and hosts.providers == ("cpu",)
    return plain and hosts.shared > 0 and version.size_bytes <= hosts.shared_max_bytes


def place(routed: RoutedModel, version: Version, hosts: Hosts) -> Place:
    """Give where a version that a route names belongs.

    The version before, which only waits for a rollback, shares; `place_before` knows the others.
    """
    route = routed.route
    arms = [arm.version for arm in route.arms]
    shadow = route.shadow.version if route.shadow is not None else None
    if version.number == route.previous and version.number not in (*arms, shadow):
        return Place.SHARED if may_share(version, hosts) else Place.OWN
    return place_before(version, arms, trusted(routed.proven, route.judged), hosts)


def trusted(proven: frozenset[int], judged: Judged | None) -> frozenset[int]:
    """Give the versions that may share as arms: one that is judged has to prove itself again."""
    return proven if judged is None else proven - {judged.candidate}


def place_before(
    version: Version, arms: Collection[int], proven: frozenset[int], hosts: Hosts
) -> Place:
    """Give where a version of a route that is about to be made belongs, as `place` will say.

    Arms share if all of them are proven, and who answers everybody is. A candidate and a shadow
    have a host of their own, so that only their own callers feel a crash; so has whoever is
    compared with a candidate, so that both are alike.
    """
    trusted = len(arms) == 1 or proven.issuperset(arms)
    shares = trusted and version.number in arms
    return Place.SHARED if shares and may_share(version, hosts) else Place.OWN
