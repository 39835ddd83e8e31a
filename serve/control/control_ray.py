"""Ray shell: the actor that owns the registry and answers on the control port."""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import Coroutine
from importlib.metadata import version
from pathlib import Path
from typing import Any

from configs.errors import StartError
from configs.settings import Settings
from configs.shown import shown
from registry.artifacts import Artifacts
from registry.records import Route, RouteTable, Version
from serve.access.door import Door
from serve.access.keyring import has_admin
from serve.control.opening import Opening
from serve.control.rehousing import Rehousing
from serve.control.replicas import Replicas
from serve.models.addresses import announce, folder
from serve.models.certificates import Certificate
from serve.models.membership import Membership
from serve.models.providers import chosen
from serve.node.lease import borrow
from serve.node.logs import log_to
from serve.node.names import CONTROL_SOCKET
from serve.reached import Reached
from serve.recorder.transport_ray import RayTransport
from serve.rollout.tallies import Report
from serve.webhook.signature import read_secret

_OVER_INFERENCE = "asked over the inference port"


class ControlActor:
    """The one owner of the registry."""

    def __init__(self, settings: Settings, run_dir: Path) -> None:
        # Imported here, in the actor, so that the driver need not wait for them.
        from registry.registry import Registry  # noqa: PLC0415
        from serve.alarms.tasks import AlarmTasks  # noqa: PLC0415
        from serve.control.api import create_app  # noqa: PLC0415
        from serve.control.fleet_ray import RayFleet  # noqa: PLC0415
        from serve.control.plane import ControlPlane  # noqa: PLC0415
        from serve.control.watchers_ray import RayWatchers  # noqa: PLC0415
        from serve.edge.listener import Listener  # noqa: PLC0415
        from serve.edge.tls import server_context  # noqa: PLC0415
        from serve.rollout.tasks import RolloutTasks  # noqa: PLC0415

        log_to(settings.data)
        self._registry = Registry.open(settings.data, settings.verify)
        self._registry.note_configuration({**shown(settings), "weir": version("weir-gateway")})
        self._replicas = Replicas(time.monotonic, settings.hosts.gateway_replicas)
        self._fleet = RayFleet(settings, run_dir)
        self._door = Door(settings.access.required)
        self._plane = ControlPlane(
            self._registry,
            self._fleet,
            RayWatchers(),
            self._replicas,
            self._door,
            settings,
        )
        self._listener = Listener(
            create_app(self._plane, self._door),
            settings.limits,
            tls=server_context(settings.listen),
        )
        self._socket = borrow(run_dir, CONTROL_SOCKET)
        self._data = settings.data
        self._run_dir = run_dir
        self._membership = Membership(settings.links, run_dir)
        self._hosts = settings.hosts
        self._alarms = settings.alarms
        self._alarm_tasks = AlarmTasks(
            self._plane.desk.look,
            settings.monitors.signals_s,
            self._registry,
            settings.alarms,
            f"alarms-{os.getpid()}",
            RayTransport(1, 0.0),
        )
        self._rollouts = settings.rollouts
        self._rollout_tasks = RolloutTasks(
            self._plane.conductor,
            self._registry,
            settings.rollouts,
            self._plane.rollout_counts,
            f"rollouts-{os.getpid()}",
            RayTransport(1, 0.0),
        )
        self._opening = Opening(self._open)
        self._listening = False
        self._upkeep: list[asyncio.Task[None]] = []

    async def open(self) -> None:
        """Listen on the control port and bring up everything that routes name, once.

        `StartError` when callers must show keys and nobody could make any, `Refused` when models
        are to run where this machine has no means to, `ConfigError` when the file of the webhook's
        secret holds none.
        """
        # Asked here only: an actor that comes back must serve, whoever's key has expired meanwhile.
        if self._door.required and not has_admin(self._registry.keys(), time.time()):
            raise StartError(
                "access.required is on and no administrator has a valid key: make one with "
                f"`weir keys create NAME --role admin --data {self._data}`"
            )
        for secret in (self._alarms.webhook_secret_file, self._rollouts.webhook_secret_file):
            if secret is not None:
                await asyncio.to_thread(read_secret, secret)
        if self._hosts.providers != ("cpu",):
            await asyncio.to_thread(chosen, self._hosts)
        await asyncio.shield(self._opening.begun())

    async def ask(
        self,
        replica: str,
        generation: int,
        connected: frozenset[Reached],
        patience_s: float,
    ) -> RouteTable | None:
        """Take a gateway replica's report; give a newer table as soon as there is one."""
        self._opening.begun()  # An actor that was started anew is told by nobody else.
        return await self._replicas.ask(replica, generation, connected, patience_s)

    async def report(self, reports: tuple[Report, ...]) -> None:
        """Take what a gateway replica has counted for rollouts so far.

        `Unavailable`, so that its lease is not renewed, while nobody judges by what was counted.
        """
        self._plane.take_counts(reports)

    async def gone(self, replica: str) -> None:
        """Forget a gateway replica that has answered its last request."""
        await self._plane.gone(replica)

    async def describe(self, model: str, version: int) -> tuple[Version, bytes | None]:
        """Give a version and its reference profile."""
        return await self._plane.describe(model, version)

    async def announced(
        self, model: str, version: int, host: str, port: int, baseline: bool
    ) -> None:
        """Hear from a host on another node where it listens; gateway replicas find it from now."""
        announce(folder(self._run_dir, model, version, baseline=baseline), host, port)

    async def certificate(self) -> Certificate:
        """Give what a host on another node shows gateway replicas, and they it."""
        return await asyncio.to_thread(self._membership.certificate)

    async def artifact(self, digest: str) -> bytes:
        """Give a model's bytes to a host on another node."""
        return await asyncio.to_thread(Artifacts(self._data / "artifacts").read, digest)

    async def load(self, model: str, actor: str) -> Route:
        """Serve a model for a client of the inference port."""
        return await self._plane.load(model, actor, _OVER_INFERENCE)

    async def unload(self, model: str, actor: str) -> Route:
        """Serve a model no longer, for a client of the inference port."""
        return await self._plane.unload(model, actor, _OVER_INFERENCE)

    async def close(self) -> None:
        """End what runs on Ray Serve: gateway replicas drain, hosts say goodbye."""
        for task in self._upkeep:
            task.cancel()
        await self._plane.close()
        await self._fleet.close()
        await asyncio.to_thread(self._registry.close)

    async def _open(self) -> None:
        if not self._listening:
            await self._listener.open(self._socket)
            self._listening = True
        await self._plane.open(self._judge)
        rehousing = Rehousing(self._plane.rehouse, f"control-{os.getpid()}", RayTransport(1, 0.0))
        self._keep_up(rehousing.run(), self._alarm_tasks.run())

    def _judge(self) -> None:
        """Begin to look at rollouts: harm must be found however long hosts take to start."""
        if not self._upkeep:
            self._keep_up(self._rollout_tasks.run())

    def _keep_up(self, *work: Coroutine[Any, Any, None]) -> None:
        self._upkeep += [asyncio.get_running_loop().create_task(each) for each in work]
