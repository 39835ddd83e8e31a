"""Where a version runs: in a host of its own, or in one that many versions share."""

from __future__ import annotations

from collections.abc import Collection
from enum import StrEnum

from configs.settings import Hosts
from registry.records import Route, Version


class Place(StrEnum):
    """The kinds of host."""

    OWN = "own"
    SHARED = "shared"


def may_share(version: Version, hosts: Hosts) -> bool:
    """Whether a version is small enough to share a host, if it is proven.

    Versions whose processes follow their load, or that may run on a GPU, have hosts of their own.
    """
    plain = not hosts.scales and hosts.providers == ("cpu",)
    return plain and hosts.shared > 0 and version.size_bytes <= hosts.shared_max_bytes


def place(route: Route, version: Version, hosts: Hosts) -> Place:
    """Give where a version that a route names belongs.

    Proven is what answers everybody, and what did so before and is kept for a rollback. A
    candidate and a shadow have a host of their own, so that only their own callers feel a crash;
    so has the stable version while it is compared with a candidate, so that both are alike.
    """
    compared = len(route.arms) > 1
    proven = version.number == route.previous or (version.number == route.stable and not compared)
    return Place.SHARED if proven and may_share(version, hosts) else Place.OWN


def place_before(
    version: Version, arms: Collection[int], shadow: int | None, hosts: Hosts
) -> Place:
    """Give where a version of a route that is about to be made belongs, as `place` will say."""
    alone = len(arms) == 1 and version.number in arms and version.number != shadow
    return Place.SHARED if alone and may_share(version, hosts) else Place.OWN
