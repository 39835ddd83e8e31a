"""Ray shell: a shared host as a replica of a Ray Serve deployment."""

from __future__ import annotations

import asyncio
import logging
import os
from pathlib import Path

from ray import serve as ray_serve

from configs.settings import Settings
from serve.deployment_ray import deployment
from serve.models.curve import Curve
from serve.models.host import Traced
from serve.models.in_hand import InHand
from serve.models.keeper import Keeper
from serve.models.loading import Loader
from serve.models.session import Session
from serve.models.shelf_files import Entry, VersionKey, hand, shelf_folder
from serve.models.shelf_host import ShelfHost
from serve.models.shelf_tally import ShelfTally
from serve.node.collector import collect_seldom
from serve.node.lean_ray import keep_replica_on_loopback
from serve.node.logs import log_to
from serve.node.loop_thread import LoopThread
from serve.recorder.transport_ray import RayTransport
from serve.traces import RunTracer

_HEALTH_S = 5.0


class ShelfReplica:
    """Holds many small versions inside a memory budget, and leaves without losing a batch."""

    def __init__(self, settings: Settings, run_dir: Path, number: int) -> None:
        keep_replica_on_loopback()
        log_to(settings.data)
        self._settings = settings
        self._loader = Loader(settings.data, settings.hosts)
        self._provider = None
        instance = f"shelf-{number}-{os.getpid()}"
        if settings.telemetry.otlp_endpoint is not None:
            from serve.telemetry import tracer_provider  # noqa: PLC0415 - slow, and seldom needed

            self._provider = tracer_provider(settings.telemetry, instance)
        self._tally = ShelfTally(instance, RayTransport(1, 0.0))
        hosts = settings.hosts
        in_hand = InHand(hand(shelf_folder(run_dir, number), os.getpid()))
        keeper = Keeper(hosts.memory_max_bytes, hosts.load_wait_s, self._tally, in_hand)
        self._host = ShelfHost(
            run_dir, number, keeper, self._load, self._traced_of, self._tally.failed
        )
        self._thread = LoopThread("weir-shelf")
        self._thread.submit(self._open(keeper)).result()
        collect_seldom()

    async def check_health(self) -> None:
        """Fail when the loop does not answer, or does no longer what it is told."""
        async with asyncio.timeout(_HEALTH_S):
            await self._thread.run(asyncio.sleep(0))
        if not self._host.following:
            message = "the shared host no longer follows the control plane"
            raise RuntimeError(message)

    async def __del__(self) -> None:
        """Say goodbye; Ray Serve waits for this before it ends the process."""
        drain_s = self._settings.limits.drain_s
        await self._thread.run(self._close(drain_s))
        self._thread.stop(drain_s)

    async def _open(self, keeper: Keeper) -> None:
        await self._host.open()
        tell = self._tally.tell(keeper, self._settings.recorder.flush_s)
        self._telling = asyncio.get_running_loop().create_task(tell)

    async def _close(self, drain_s: float) -> None:
        self._telling.cancel()
        await self._host.drain(drain_s)

    def _load(self, entry: Entry) -> tuple[Session, Curve]:
        """Load a version, without a line in the log for each time that it comes back."""
        name = f"{entry.model} {entry.number}"
        loaded = self._loader.load(entry.digest, entry.signature, name, logging.DEBUG)
        return loaded.session, loaded.curve

    def _traced_of(self, key: VersionKey) -> Traced:
        return RunTracer(self._provider, *key).ran


def application(settings: Settings, run_dir: Path, number: int) -> ray_serve.Application:
    """Give the Ray Serve application of a shared host."""
    how_many = {"num_replicas": settings.hosts.replicas}
    leave_s = settings.limits.drain_s + 1
    return deployment(ShelfReplica, "shelf", how_many, leave_s).bind(settings, run_dir, number)
