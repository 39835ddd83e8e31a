"""Has every version where it belongs: before a change of route, after it, and at the start."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass

from configs.errors import WeirError
from configs.settings import Hosts
from registry.records import RouteTable, Version
from serve.control.fleet import Fleet
from serve.control.placement import Place, place, place_before
from serve.control.replicas import VersionKey

_log = logging.getLogger("weir.control")


@dataclass(frozen=True, slots=True)
class Housed:
    """A version and where it belongs."""

    version: Version
    place: Place


class Housing:
    """Starts versions in hosts of their own or in shared ones, and moves them between the two.

    A move begins in the new place: gateway replicas find it there, and only then it leaves the old.
    """

    def __init__(self, fleet: Fleet, hosts: Hosts) -> None:
        self._fleet = fleet
        self._hosts = hosts

    async def open(self, table: RouteTable) -> None:
        """Have everything that a table names; what fails must not keep the rest from serving."""
        houses = [*self._of(table).values(), *_baselines(table).values()]
        shared = [house.version for house in houses if house.place is Place.SHARED]
        own = [house for house in houses if house.place is not Place.SHARED]
        await asyncio.gather(self._share_or_log(shared), *map(self._have_or_log, own))

    async def prepare(
        self,
        versions: Iterable[Version],
        arms: Collection[int],
        proven: frozenset[int],
        baseline: int | None = None,
    ) -> None:
        """Have the versions of a route that is about to be made; raises what keeps one from it.

        The one that is the `baseline` has hosts for that too.
        """
        houses = []
        for version in versions:
            houses.append(Housed(version, place_before(version, arms, proven, self._hosts)))
            if version.number == baseline:
                houses.append(Housed(version, Place.BASELINE))
        for outcome in await asyncio.gather(*map(self._have, houses), return_exceptions=True):
            if outcome is not None:
                raise outcome

    async def settle(self, table: RouteTable, model: str) -> None:
        """Have a model's versions where its route wants them, and nothing that no route names."""
        wanted, beside = self._of(table), _baselines(table)
        places = await self._fleet.places()
        missing = [
            house
            for key, house in (*wanted.items(), *beside.items())
            if key[0] == model and house.place not in places.get(key, ())
        ]
        await asyncio.gather(*map(self._have_or_log, missing))
        present = await self._fleet.places() if missing else places
        for key, there in (*_surplus(wanted, present), *_surplus_baselines(beside, present)):
            await self._fleet.stop(key, there)

    async def rehouse(self, table: RouteTable) -> None:
        """Give hosts of their own to those that shared hosts cannot hold any more."""
        refused = await self._fleet.refused()
        if not refused:
            return
        for key, house in self._of(table).items():
            if key in refused:
                _log.error("%s %d cannot share a host any more: %s", *key, refused[key])
                await self._have_or_log(Housed(house.version, Place.OWN))
                await self._fleet.stop(key, Place.SHARED)

    def _of(self, table: RouteTable) -> dict[VersionKey, Housed]:
        return {
            (model, version.number): Housed(version, place(routed, version, self._hosts))
            for model, routed in table.models.items()
            for version in routed.versions.values()
        }

    async def _have(self, house: Housed) -> None:
        """Have a version where it belongs; where it cannot share it gets a host of its own."""
        version = house.version
        try:
            await self._fleet.start(version, house.place)
        except WeirError as error:
            if house.place is not Place.SHARED:
                raise
            name = f"{version.model} {version.number}"
            _log.error("%s cannot share a host, and gets its own: %s", name, error.message)
            await self._fleet.start(version, Place.OWN)

    async def _have_or_log(self, house: Housed) -> None:
        try:
            await self._have(house)
        except WeirError as error:
            version = house.version
            _log.error("%s %d is not served: %s", version.model, version.number, error.message)

    async def _share_or_log(self, versions: list[Version]) -> None:
        try:
            await self._fleet.share(versions)
        except WeirError as error:
            _log.error("%d versions that share hosts are not served: %s", len(versions), error)


def _baselines(table: RouteTable) -> dict[VersionKey, Housed]:
    """Give the versions of which a table has replicas connect to a baseline."""
    return {
        (model, routed.baseline): Housed(routed.versions[routed.baseline], Place.BASELINE)
        for model, routed in table.models.items()
        if routed.baseline is not None
    }


def _surplus(
    wanted: Mapping[VersionKey, Housed], places: Mapping[VersionKey, frozenset[Place]]
) -> list[tuple[VersionKey, Place]]:
    """Give what no route names, and what is in the wrong place and in the right one too."""
    surplus = []
    for key, present in places.items():
        house, there = wanted.get(key), present - {Place.BASELINE}
        if house is None:
            surplus += [(key, each) for each in there]
        elif house.place in there:
            surplus += [(key, each) for each in there if each is not house.place]
    return surplus


def _surplus_baselines(
    wanted: Mapping[VersionKey, Housed], places: Mapping[VersionKey, frozenset[Place]]
) -> list[tuple[VersionKey, Place]]:
    """Give the baselines with which no route compares anything."""
    return [
        (key, Place.BASELINE)
        for key, there in places.items()
        if Place.BASELINE in there and key not in wanted
    ]
