"""Gives gateway replicas their tables, one after the other."""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import Iterable
from dataclasses import replace

from registry.records import Route, RouteTable, Version
from registry.registry import Registry
from serve.access.door import Door
from serve.control.replicas import Replicas, VersionKey
from serve.control.wanted import Wanted
from serve.reached import Baseline, Reached

_TABLES_A_CHANGE = 2**20
"""Room for the tables that are published between two changes."""
_BEGINS_BELOW = 2**19
"""Room for where a control plane begins to count, which it draws: one that was started anew must
not give a number that stood for another table before, also if nothing was changed in between. A
gateway replica that has that table would not hear of the new one, and be taken to follow it."""


class Publisher:
    """Publishes tables of the registry under new numbers; the door knows the keys of the last.

    A table is made and published in one turn: one that was made from an older state never replaces
    a newer one, in which a key may be gone.
    """

    def __init__(self, registry: Registry, replicas: Replicas, door: Door) -> None:
        self._registry = registry
        self._replicas = replicas
        self._door = door
        self._turn = asyncio.Lock()
        self._published = 0
        self._awaited: tuple[tuple[Version, ...], Baseline | None] = ((), None)

    @property
    def begun(self) -> bool:
        """Whether there was a first table."""
        return self._replicas.table.generation > 0

    async def routes(self) -> RouteTable:
        """Publish what the registry holds."""
        async with self._turn:
            self._awaited = ((), None)
            return await self._publish(await self._fresh())

    async def routes_meanwhile(self) -> RouteTable:
        """Publish what the registry holds, and what another change waits to be connected to."""
        async with self._turn:
            return await self._publish(_with(await self._fresh(), *self._awaited))

    async def with_versions(
        self, versions: Iterable[Version], baseline: Baseline | None = None
    ) -> RouteTable:
        """Publish the present routes with more versions to connect to, and perhaps a baseline."""
        async with self._turn:
            present = self._replicas.table if self.begun else await self._fresh()
            self._awaited = (tuple(versions), baseline)
            return await self._publish(_with(present, *self._awaited))

    async def facts(self) -> None:
        """Publish what is registered and which keys there are, beside the present routes."""
        async with self._turn:
            fresh = await self._fresh()
            # A first table without routes would take away what replicas serve by the last one.
            present = self._replicas.table if self.begun else fresh
            await self._publish(replace(present, registered=fresh.registered, keys=fresh.keys))

    async def _fresh(self) -> RouteTable:
        """What the registry holds; the number of the first table follows from it."""
        table = await asyncio.to_thread(self._registry.table)
        if not self.begun:
            begin = secrets.randbelow(_BEGINS_BELOW)
            self._published = table.generation * _TABLES_A_CHANGE + begin
        return table

    async def _publish(self, table: RouteTable) -> RouteTable:
        """Publish a table under the next number; the caller has the turn."""
        self._published += 1
        self._door.keys(table.keys)
        await self._replicas.publish(replace(table, generation=self._published))
        return table


def key_of(version: Version) -> VersionKey:
    """How replicas name a version."""
    return version.model, version.number


def named(table: RouteTable) -> frozenset[Reached]:
    """Give what a table has replicas connect to."""
    return frozenset(key for name in table.models for key in named_of(table, name))


def named_of(table: RouteTable, model: str) -> frozenset[Reached]:
    """Give what a table has replicas connect to for one of its models."""
    routed = table.models[model]
    versions = frozenset(map(key_of, routed.versions.values()))
    return versions if routed.baseline is None else versions | {Baseline(model, routed.baseline)}


def named_by(route: Route) -> frozenset[Reached]:
    """Give what takes part in a route: arms, shadow and baseline."""
    wanted = Wanted.by(route)
    versions = frozenset((route.model, number) for number in wanted.versions())
    number = wanted.baseline
    return versions if number is None else versions | {Baseline(route.model, number)}


def reachable(
    table: RouteTable, versions: Iterable[Version], baseline: Baseline | None = None
) -> frozenset[Reached]:
    """Give those of the versions and the baseline that replicas connect to.

    Of a model that is not served that is none.
    """
    wanted: set[Reached] = {key_of(version) for version in versions}
    if baseline is not None:
        wanted.add(baseline)
    return named(table) & wanted


def _with(table: RouteTable, versions: Iterable[Version], baseline: Baseline | None) -> RouteTable:
    """The table with more to connect to; of a model that is not served, nothing yet."""
    models = dict(table.models)
    for version in versions:
        routed = models.get(version.model)
        if routed is not None:
            more = {**routed.versions, version.number: version}
            models[version.model] = replace(routed, versions=more)
    if baseline is not None and baseline.model in models:
        models[baseline.model] = replace(models[baseline.model], baseline=baseline.version)
    return replace(table, models=models)
