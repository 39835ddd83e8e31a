"""Ray shell: a shared host as a replica of a Ray Serve deployment."""

from __future__ import annotations

import asyncio
from pathlib import Path

from ray import serve as ray_serve

from configs.settings import Settings
from serve.deployment_ray import deployment
from serve.models.shared_models import SharedModels, shelf_name
from serve.node.collector import collect_seldom
from serve.node.lean_ray import keep_replica_on_loopback
from serve.node.logs import log_to
from serve.node.loop_thread import LoopThread
from serve.recorder.transport_ray import RayTransport

_HEALTH_S = 5.0


class ShelfReplica:
    """Holds many small versions inside a memory budget, and leaves without losing a batch."""

    def __init__(self, settings: Settings, run_dir: Path, number: int) -> None:
        keep_replica_on_loopback()
        log_to(settings.data)
        self._drain_s = settings.limits.drain_s
        provider = None
        if settings.telemetry.otlp_endpoint is not None:
            from serve.telemetry import tracer_provider  # noqa: PLC0415 - slow, and seldom needed

            provider = tracer_provider(settings.telemetry, shelf_name(number))
        self._models = SharedModels(settings, run_dir, number, RayTransport(1, 0.0), provider)
        self._thread = LoopThread("weir-shelf")
        self._thread.submit(self._models.open()).result()
        collect_seldom()

    async def check_health(self) -> None:
        """Fail when the loop does not answer, or does no longer what it is told."""
        async with asyncio.timeout(_HEALTH_S):
            await self._thread.run(asyncio.sleep(0))
        if not self._models.following:
            message = "the shared host no longer follows the control plane"
            raise RuntimeError(message)

    async def __del__(self) -> None:
        """Say goodbye; Ray Serve waits for this before it ends the process."""
        await self._thread.run(self._models.close(self._drain_s))
        self._thread.stop(self._drain_s)


def application(settings: Settings, run_dir: Path, number: int) -> ray_serve.Application:
    """Give the Ray Serve application of a shared host."""
    how_many = {"num_replicas": settings.hosts.replicas}
    leave_s = settings.limits.drain_s + 1
    return deployment(ShelfReplica, "shelf", how_many, leave_s).bind(settings, run_dir, number)
