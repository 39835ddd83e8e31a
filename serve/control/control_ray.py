"""Ray shell: the actor that owns the registry and answers on the control port."""

from __future__ import annotations

import asyncio
import time
from pathlib import Path

from configs.settings import Settings
from registry.records import RouteTable, Version
from registry.registry import Registry
from serve.control.api import create_app
from serve.control.fleet_ray import RayFleet
from serve.control.plane import ControlPlane
from serve.control.replicas import Replicas, VersionKey
from serve.edge.listener import Listener
from serve.node.holder import borrow
from serve.node.names import CONTROL_SOCKET
from serve.watchers_ray import RayWatchers

_PATIENCE_S = 2.0


class ControlActor:
    """The one owner of the registry."""

    def __init__(self, settings: Settings, run_dir: Path) -> None:
        registry = Registry.open(settings.data, settings.verify)
        self._replicas = Replicas(time.monotonic)
        self._plane = ControlPlane(
            registry, RayFleet(settings, run_dir), RayWatchers(), self._replicas
        )
        self._listener = Listener(create_app(self._plane), borrow(run_dir, CONTROL_SOCKET))
        self._opening: asyncio.Task[None] | None = None

    async def open(self) -> None:
        """Listen on the control port and bring up everything that routes name, once."""
        if self._opening is None:
            self._opening = asyncio.get_running_loop().create_task(self._open())
        await asyncio.shield(self._opening)

    async def ask(
        self, replica: str, generation: int, connected: frozenset[VersionKey]
    ) -> RouteTable | None:
        """Take a gateway replica's report; give a newer table as soon as there is one."""
        if self._opening is None:  # This actor was started anew, and nobody else will say so.
            self._opening = asyncio.get_running_loop().create_task(self._open())
        return await self._replicas.ask(replica, generation, connected, _PATIENCE_S)

    async def describe(self, model: str, version: int) -> tuple[Version, bytes | None]:
        """Give a version and its reference profile."""
        return await self._plane.describe(model, version)

    async def ready(self) -> bool:
        """Whether every gateway replica serves the present table."""
        return await self._plane.ready()

    async def _open(self) -> None:
        await self._listener.open()
        await self._plane.open()
