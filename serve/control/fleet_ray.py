"""Ray shell: hosts and gateway replicas as applications of Ray Serve."""

from __future__ import annotations

import asyncio
import os
from collections import defaultdict
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import ray
from ray import serve as ray_serve
from ray.exceptions import RayError
from ray.serve.schema import ApplicationStatus

from configs.errors import Refused
from configs.settings import Settings
from registry.records import Version
from serve import gateway_ray
from serve.control.placement import Place
from serve.control.replicas import VersionKey
from serve.control.service import Process, VersionStatus
from serve.control.shelves import Shelves
from serve.models import host_ray, shelf_ray
from serve.models.addresses import folder, host_pid, sockets
from serve.models.away_ray import node
from serve.node.names import (
    EXPORTER,
    NAMESPACE,
    OBSERVER,
    baseline_app,
    gateway_app,
    gateway_number,
    shelf_app,
    version_app,
)

_RUNNING = ApplicationStatus.RUNNING
_STATES = {
    ApplicationStatus.RUNNING: "ready",
    ApplicationStatus.DEPLOYING: "starting",
    ApplicationStatus.NOT_STARTED: "starting",
}


class RayFleet:
    """Runs every host, shared or not, and the gateway as an application of its own."""

    def __init__(self, settings: Settings, run_dir: Path) -> None:
        self._settings = settings
        self._run_dir = run_dir
        # Serve pickles by a global list whenever it reads or makes a deployment's configuration:
        # two at a time fail.
        self._configuring = asyncio.Lock()
        self._shelves = Shelves(run_dir, settings.hosts)
        self._starting_shelf = asyncio.Lock()

    async def close(self) -> None:
        """End Ray Serve and all that runs on it, each replica in its own way."""
        await asyncio.to_thread(ray_serve.shutdown)

    async def start_gateway(self) -> None:
        """Have gateway replicas running; does nothing when they run already."""
        states = await self._states()
        if not any(states[gateway_app(number)] is _RUNNING for number in _gateways(states)):
            await self.replace_gateway()

    async def start(self, version: Version, place: Place) -> None:
        """Have a version ready to answer in a place; raises `Refused` when it cannot be.

        A shared host that does not run yet is started first: only one that runs loads ahead.
        """
        key = version.model, version.number
        if place is Place.SHARED:
            await self._start_shelf(self._shelves.number(key))
            self._shelves.add([version], ahead=True)
            await self._shelves.settled([key])
        elif (await self._states()).get(_app(key, place)) is not _RUNNING:
            await self._start_own(version, place)

    async def share(self, versions: Sequence[Version]) -> None:
        """Have many versions in shared hosts, which load each when somebody asks for it."""
        keys = [(version.model, version.number) for version in versions]
        self._shelves.add(versions, ahead=False)
        numbers = {self._shelves.number(key) for key in keys}
        await asyncio.gather(*map(self._start_shelf, numbers))
        await self._shelves.settled(keys)

    async def stop(self, version: VersionKey, place: Place) -> None:
        """Take a version out of a place; it says goodbye to the gateway replicas first."""
        if place is Place.SHARED:
            self._shelves.remove(version)
        else:
            await asyncio.to_thread(ray_serve.delete, _app(version, place), _blocking=False)

    async def places(self) -> Mapping[VersionKey, frozenset[Place]]:
        """Give where every hosted version is."""
        found: defaultdict[VersionKey, set[Place]] = defaultdict(set)
        for name in await self._states():
            housed = _housed_by(name)
            if housed is not None:
                key, place = housed
                found[key].add(place)
        for key in self._shelves.held():
            found[key].add(Place.SHARED)
        return {key: frozenset(places) for key, places in found.items()}

    async def refused(self) -> Mapping[VersionKey, str]:
        """Give the versions that should share a host and cannot any more, and why."""
        return self._shelves.refused()

    async def status(self) -> Mapping[VersionKey, VersionStatus]:
        """Give how every hosted version is."""
        found = {}
        for name, state in (await self._states()).items():
            housed = _housed_by(name)
            if housed is not None and housed[1] is Place.OWN:
                key = housed[0]
                found[key] = VersionStatus(key[1], _STATES.get(state, "failed"))
        where = "in the gateway" if self._settings.hosts.inside else "in a shared host"
        for key, held in self._shelves.held().items():
            if held:
                found[key] = VersionStatus(key[1], "ready", where)
            else:
                found.setdefault(key, VersionStatus(key[1], "starting", where))
        return found

    async def replace_gateway(self) -> None:
        """Put new gateway replicas in the place of the present ones.

        The new ones are an application of their own, which listens before the old one is ended.
        """
        old = _gateways(await self._states())
        async with self._configuring:
            application = gateway_ray.application(self._settings, self._run_dir)
        await self._run(application, gateway_app(max(old, default=0) + 1))
        for number in old:
            await asyncio.to_thread(ray_serve.delete, gateway_app(number), _blocking=False)

    async def replace_version(self, version: Version) -> None:
        """Put new replicas in the place of a version's present ones, wherever it is."""
        key = version.model, version.number
        places = (await self.places()).get(key, frozenset())
        if Place.SHARED in places:
            if self._settings.hosts.inside:
                await self.replace_gateway()
            else:
                await self._replace_shelf(self._shelves.number(key))
        if Place.SHARED not in places or Place.OWN in places:
            await self._start_own(version, Place.OWN)
        if Place.BASELINE in places:
            await self._start_own(version, Place.BASELINE)

    async def _start_own(self, version: Version, place: Place) -> None:
        """Put new replicas of a version in a host of its own, also in the place of present ones."""
        async with self._configuring:
            application = host_ray.application(
                self._settings, self._run_dir, version, node(), baseline=place is Place.BASELINE
            )
        name = _app((version.model, version.number), place)
        await self._run_or_refuse(application, name, f"{version.model} {version.number}")

    async def _start_shelf(self, number: int) -> None:
        """Have a shared host running; the gateway's own processes are started with the gateway."""
        if self._settings.hosts.inside:
            return
        async with self._starting_shelf:
            if (await self._states()).get(shelf_app(number)) is not _RUNNING:
                await self._replace_shelf(number)

    async def _replace_shelf(self, number: int) -> None:
        """Put new replicas of a shared host in the place of the present ones, if there are any."""
        async with self._configuring:
            application = shelf_ray.application(self._settings, self._run_dir, number)
        await self._run_or_refuse(application, shelf_app(number), "versions that share one")

    async def processes(self) -> tuple[Process, ...]:
        """Give the processes that are running now, but for the gateway replicas."""
        found = [Process("control", os.getpid())]
        for role, actor in (("observer", OBSERVER), ("telemetry", EXPORTER)):
            try:
                handle: Any = ray.get_actor(actor, namespace=NAMESPACE)
                found.append(Process(role, await handle.pid.remote()))
            except (RayError, ValueError):  # It starts only now, or anew: it is not running.
                continue
        for key in await self.places():
            pids = self._local(key) | self._shelves.holders(key)
            found += [Process("version", pid, *key) for pid in sorted(pids)]
            pids = self._local(key, baseline=True)
            found += [Process("baseline", pid, *key) for pid in sorted(pids)]
        return tuple(found)

    def _local(self, key: VersionKey, *, baseline: bool = False) -> set[int]:
        """Give the processes of a version's own hosts on this node."""
        return {host_pid(each) for each in sockets(folder(self._run_dir, *key, baseline=baseline))}

    async def _run_or_refuse(
        self, application: ray_serve.Application, name: str, whose: str
    ) -> None:
        before = (await self._states()).get(name)
        try:
            await self._run(application, name)
        except (RuntimeError, RayError) as error:
            if before in (None, ApplicationStatus.DEPLOY_FAILED):  # What runs is needed still.
                await asyncio.to_thread(ray_serve.delete, name, _blocking=False)
            raise Refused(f"the host of {whose} did not start: {_last_line(error)}") from error

    async def _run(self, application: ray_serve.Application, name: str) -> None:
        await asyncio.to_thread(ray_serve.run, application, name=name, route_prefix=None)

    async def _states(self) -> dict[str, ApplicationStatus]:
        async with self._configuring:
            status = await asyncio.to_thread(ray_serve.status)
        return {name: application.status for name, application in status.applications.items()}


def _gateways(states: Mapping[str, ApplicationStatus]) -> list[int]:
    """Give the numbers of the gateways that there are."""
    return [number for name in states if (number := gateway_number(name)) is not None]


def _app(key: VersionKey, place: Place) -> str:
    """Give the name of the application of a version's host that is not shared."""
    return baseline_app(*key) if place is Place.BASELINE else version_app(*key)


def _housed_by(name: str) -> tuple[VersionKey, Place] | None:
    """Give the version whose application has this name, and of which kind it is, if it is one."""
    kind, _, rest = name.partition("/")
    model, _, number = rest.rpartition("/")
    place = {"version": Place.OWN, "baseline": Place.BASELINE}.get(kind)
    return ((model, int(number)), place) if place is not None else None


def _last_line(error: Exception) -> str:
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return lines[-1] if lines else type(error).__name__
