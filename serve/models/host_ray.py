"""Ray shell: a version host as a replica of a Ray Serve deployment."""

from __future__ import annotations

import asyncio
import os
from pathlib import Path

from ray import serve as ray_serve

from configs.errors import InternalError
from configs.settings import Settings
from registry.records import Version
from serve.deployment_ray import deployment
from serve.models import away_ray, frames
from serve.models.addresses import folder, socket_path
from serve.models.busy import Busy
from serve.models.host import Host, Run
from serve.models.loading import Loader
from serve.models.memory import is_spent, limit_growth
from serve.models.scaling_ray import number_of_replicas, report
from serve.node.collector import collect_seldom
from serve.node.lean_ray import keep_replica_on_loopback
from serve.node.logs import log_to
from serve.node.loop_thread import LoopThread
from serve.traces import RunTracer

_HEALTH_S = 5.0


class VersionHost:
    """Loads one version, listens for its batches, and leaves without losing one."""

    def __init__(
        self, settings: Settings, run_dir: Path, version: Version, home: str, baseline: bool
    ) -> None:
        keep_replica_on_loopback()
        log_to(settings.data)
        self._settings = settings
        away = home != away_ray.node()
        data = away_ray.data_with(version) if away else settings.data
        loader = Loader(data, settings.hosts)
        name = f"{version.model} {version.number}"
        loaded = loader.load(version.digest, version.signature, name)
        provider = None
        instance = f"version-{version.model}-{version.number}-{os.getpid()}"
        if settings.telemetry.otlp_endpoint is not None:
            from serve.telemetry import tracer_provider  # noqa: PLC0415 - slow, and seldom needed

            provider = tracer_provider(settings.telemetry, instance)
        tracer = RunTracer(provider, version.model, version.number)
        versions = folder(run_dir, version.model, version.number, baseline=baseline)
        socket = socket_path(versions, os.getpid())
        longest = frames.longest(settings.limits.body_max_bytes)
        self._busy = Busy()
        run: Run = loaded.session.run_brief
        if settings.hosts.scales:
            run = self._busy.watched(run)
        self._host = Host(version.number, run, socket, tracer.ran, longest)
        self._host.curve = loaded.curve
        collect_seldom()
        if settings.hosts.providers == ("cpu",):  # Others map far more memory than they use.
            limit_growth(settings.hosts.run_memory_max_bytes)
        self._thread = LoopThread("weir-host")
        if away:
            away_ray.open_away(self._thread, self._host, version, baseline=baseline)
        else:
            self._thread.submit(self._host.open()).result()

    def record_autoscaling_stats(self) -> dict[str, float]:
        """Tell Ray Serve how busy this replica is; asked only where versions scale."""
        return report(self._busy.load())

    async def check_health(self) -> None:
        """Fail when the host's loop does not answer, or what it may take of memory is spent."""
        async with asyncio.timeout(_HEALTH_S):
            await self._thread.run(asyncio.sleep(0))
        if is_spent():
            message = "its runs have taken hosts.run_memory_max_bytes, and kept it: it begins anew"
            raise InternalError(message)

    async def __del__(self) -> None:
        """Say goodbye; Ray Serve waits for this before it ends the process."""
        drain_s = self._settings.limits.drain_s
        await self._thread.run(self._host.drain(drain_s))
        self._thread.stop(drain_s)


def application(
    settings: Settings, run_dir: Path, version: Version, home: str, *, baseline: bool = False
) -> ray_serve.Application:
    """Give the Ray Serve application of a version's host; `home` is the gateway's node.

    That of its `baseline` is the same in all but the place where its replicas are found.
    """
    how_many = number_of_replicas(settings.hosts)
    leave_s = settings.limits.drain_s + 1
    host = deployment(VersionHost, "host", how_many, leave_s)
    return host.bind(settings, run_dir, version, home, baseline)
