"""Ray shell: a gateway replica as a replica of a Ray Serve deployment."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import socket
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import ray
from ray import serve as ray_serve
from ray.exceptions import RayError, RayTaskError

from configs.errors import Unavailable, WeirError
from configs.settings import Limits, Settings
from monitors.blocks import Series
from monitors.telemetry import names
from registry.records import RouteTable
from serve.access.door import Door
from serve.deployment_ray import deployment
from serve.edge.feedback import Feedback
from serve.edge.grpc_listener import GrpcListener
from serve.edge.http import Edge
from serve.edge.listener import Listener
from serve.edge.reception import Reception
from serve.edge.tls import server_context
from serve.feedback_ray import RayObserver
from serve.gateway import Gateway
from serve.node.collector import collect_seldom
from serve.node.lean_ray import keep_replica_on_loopback
from serve.node.lease import Lease
from serve.node.logs import log_to
from serve.node.loop_thread import LoopThread
from serve.node.names import CONTROL, GRPC_SOCKET, HTTP_SOCKET, NAMESPACE, gateway_replica
from serve.recorder.shipper import Shipper
from serve.recorder.transport_ray import RayTransport
from serve.rollout.tallies import Report
from serve.rollout.units import Share
from serve.traces import Tracer

if TYPE_CHECKING:
    from opentelemetry.sdk.trace import TracerProvider

    from serve.models.shared_models import SharedModels

_HEALTH_S = 5.0
_ASK_AGAIN_S = 0.2
_CONNECT_S = 5.0
_SETTLE_S = 0.25
"""How long a new table waits for its versions before the replica asks for the next one."""
_PATIENCE_S = 2.0
_IMPATIENCE_S = 0.1
"""How long a question stays open: briefly while a version is not reached, which is news too."""
_REPORT_S = 1.0
"""How often it is told what was counted for rollouts, and looked whether the lease holds."""
_REPORTED_S = 5.0
_LAST_REPORTED_S = 1.0
"""How long the control plane has to take a report, and the last one, which leaving waits for."""
_log = logging.getLogger("weir.gateway")


class GatewayReplica:
    """Listens on the node's inference ports and follows the control plane's route table.

    Requests are served by a loop of their own; Ray's loop only asks for tables and health.
    """

    # Ray Serve awaits it.
    async def __init__(  # type: ignore[misc]
        self, settings: Settings, run_dir: Path
    ) -> None:
        """Return when the replica listens: Ray Serve counts it as running from then on."""
        keep_replica_on_loopback()
        log_to(settings.data)
        self._settings = settings
        self._name = gateway_replica(os.getpid())
        provider = None
        if settings.telemetry.otlp_endpoint is not None:
            from serve.telemetry import tracer_provider  # noqa: PLC0415 - slow, and seldom needed

            provider = tracer_provider(settings.telemetry, self._name)
        self._tracer = Tracer(provider, settings.telemetry.trace_share)
        self._thread = LoopThread("weir-edge")
        self._inside: SharedModels | None = None
        self._thread.submit(self._open(run_dir, provider)).result()
        self._shipper = Shipper(
            self._gateway.recorder,
            RayTransport(
                settings.recorder.blocks_in_flight,
                settings.monitors.fold_share / settings.hosts.gateway_replicas,
            ),
            self._name,
            settings.recorder.flush_s,
            self._gauges,
        )
        self._shipper.start()
        self._serving = asyncio.Event()
        self._following = asyncio.get_running_loop().create_task(self._follow())
        self._reporting = asyncio.get_running_loop().create_task(self._report())
        collect_seldom()
        serving = asyncio.ensure_future(self._serving.wait())
        await asyncio.wait((serving, self._following), return_when=asyncio.FIRST_COMPLETED)
        if self._following.done():
            self._following.result()

    async def check_health(self) -> None:
        """Fail when the loop that serves requests does not answer."""
        async with asyncio.timeout(_HEALTH_S):
            await self._thread.run(asyncio.sleep(0))
        # It would go on with old routes and old keys, or with a rollout that nobody judges.
        for task in (self._following, self._reporting, self._leasing):
            if task.done():
                task.result()
        if self._inside is not None and not self._inside.following:
            message = "the models inside the gateway no longer follow the control plane"
            raise RuntimeError(message)

    async def __del__(self) -> None:
        """Leave without losing a request; Ray Serve waits for this before it ends the process."""
        self._following.cancel()
        self._reporting.cancel()
        drain_s = self._settings.limits.drain_s
        await self._thread.run(self._drain(self._settings.limits))
        await asyncio.gather(
            asyncio.to_thread(self._shipper.stop, drain_s), self._report_once(_LAST_REPORTED_S)
        )
        self._thread.stop(drain_s)
        with contextlib.suppress(RayError, ValueError):  # ValueError: nobody is there to be told.
            ray.get_actor(CONTROL, namespace=NAMESPACE).gone.remote(self._name)

    def _gauges(self) -> Mapping[Series, float]:
        open_now = float(self._listener.connections + self._grpc.connections)
        return {**self._gateway.gauges(), (names.CONNECTIONS_OPEN.name, ()): open_now}

    async def _open(self, run_dir: Path, provider: TracerProvider | None) -> None:
        settings = self._settings
        if settings.hosts.inside:
            from serve.models.shared_models import SharedModels  # noqa: PLC0415 - needs ONNX

            self._inside = SharedModels(
                settings, run_dir, 0, RayTransport(1, 0.0), provider, inside=True
            )
            await self._inside.open()
        self._gateway = Gateway(_of_one_replica(settings), run_dir, self._tracer)
        self._door = Door(settings.access.required, settings.hosts.gateway_replicas)
        self._reception = Reception(self._gateway, settings, self._door, RayRepository())
        self._observer = RayObserver()
        edge = Edge(
            self._reception,
            settings.limits,
            Feedback(self._gateway, settings.limits, self._observer),
        )
        self._listener = Listener(
            edge,
            settings.limits,
            self._gateway.count_closed,
            server_context(settings.listen),
            edge.desk,
        )
        self._http_lease = Lease(run_dir, HTTP_SOCKET, self._accept, self._leave)
        self._grpc = GrpcListener(
            self._reception,
            settings.limits,
            edge.bodies,
            self._gateway.count_closed,
            server_context(settings.listen, "h2"),
        )
        self._grpc_lease = Lease(run_dir, GRPC_SOCKET, self._grpc.accept, self._grpc.leave)
        self._slots: frozenset[int] = frozenset()
        self._listening = False
        self._leasing = asyncio.get_running_loop().create_task(self._keep_lease())

    async def _drain(self, limits: Limits) -> None:
        reception = self._reception
        reception.draining = True
        self._leasing.cancel()
        if self._listening:
            await asyncio.gather(self._http_lease.close(), self._grpc_lease.close())
            await asyncio.gather(
                self._listener.drain(
                    limits.drain_s, limits.deadline_s, lambda: reception.open_requests > 0
                ),
                self._grpc.drain(limits.deadline_s),
            )
        await reception.explanations.close()
        await self._gateway.close()
        self._observer.close()
        if self._inside is not None:
            await self._inside.close(limits.drain_s)

    async def _follow(self) -> None:
        """Keep one question open at the control plane: whether there is a newer table."""
        applied = 0
        while True:
            try:
                control: Any = ray.get_actor(CONTROL, namespace=NAMESPACE)
                connected = self._gateway.connected()
                patience_s = _PATIENCE_S if self._gateway.all_connected() else _IMPATIENCE_S
                table = await control.ask.remote(self._name, applied, connected, patience_s)
            except (RayError, ValueError):  # ValueError: no actor of that name lives.
                await asyncio.sleep(_ASK_AGAIN_S)
                continue
            if table is not None:
                await self._thread.run(self._apply(table))
                applied = table.generation
                self._serving.set()

    async def _report(self) -> None:
        """Tell the control plane, while something is judged, what was counted."""
        while True:
            await asyncio.sleep(_REPORT_S)
            await self._report_once(_REPORTED_S)

    async def _report_once(self, timeout_s: float) -> None:
        """Tell it now; if that succeeds, the lease holds from the moment of what was told."""
        now, reports = await self._thread.run(self._counted())
        if not reports:
            return
        try:
            async with asyncio.timeout(timeout_s):
                control: Any = ray.get_actor(CONTROL, namespace=NAMESPACE)
                await control.report.remote(reports)
        except (RayError, ValueError, TimeoutError):  # The next report has all that this one had.
            return
        self._gateway.lease.renew(now)

    async def _counted(self) -> tuple[float, tuple[Report, ...]]:
        return asyncio.get_running_loop().time(), self._gateway.reports()

    async def _keep_lease(self) -> None:
        """Look at the lease, on the loop that serves: Ray's may be what hangs."""
        while True:
            await asyncio.sleep(_REPORT_S)
            self._gateway.keep_lease(asyncio.get_running_loop().time())

    async def _accept(self, slot: int, lent: socket.socket) -> None:
        self._share(self._slots | {slot})
        await self._listener.accept(slot, lent)

    def _leave(self, slot: int) -> None:
        self._listener.leave(slot)
        self._share(self._slots - {slot})

    def _share(self, slots: frozenset[int]) -> None:
        """Count for rollouts the units that belong to the slots on which this replica accepts."""
        self._slots = slots
        self._gateway.share = Share(slots, self._settings.hosts.gateway_replicas)

    async def _apply(self, table: RouteTable) -> None:
        self._gateway.apply(table)
        self._door.keys(table.keys)
        await self._gateway.wait_connected(_SETTLE_S if self._listening else _CONNECT_S)
        if not self._listening:
            await self._listener.open()
            await self._grpc.open()
            await self._http_lease.open()
            await self._grpc_lease.open()
            self._listening = True


def _of_one_replica(settings: Settings) -> Settings:
    """Give one replica its part of the rows that are sampled of a version."""
    rows = settings.recorder.sample_rows_per_s / settings.hosts.gateway_replicas
    recorder = settings.recorder.model_copy(update={"sample_rows_per_s": rows})
    return settings.model_copy(update={"recorder": recorder})


class RayRepository:
    """Asks the control plane to load and unload models."""

    async def load(self, model: str, actor: str) -> None:
        """Have a model served."""
        await _ask_control("load", model, actor)

    async def unload(self, model: str, actor: str) -> None:
        """Have a model no longer served."""
        await _ask_control("unload", model, actor)


async def _ask_control(method: str, model: str, actor: str) -> None:
    try:
        control: Any = ray.get_actor(CONTROL, namespace=NAMESPACE)
        await asyncio.wrap_future(getattr(control, method).remote(model, actor).future())
    except RayTaskError as error:
        if isinstance(error.cause, WeirError):
            raise error.cause from None
        raise
    except (RayError, ValueError) as error:
        raise Unavailable("the control plane is not there at the moment; try again") from error


def application(settings: Settings, run_dir: Path) -> ray_serve.Application:
    """Give the Ray Serve application of the gateway."""
    how_many = {"num_replicas": settings.hosts.gateway_replicas}
    leave_s = settings.limits.deadline_s + 2
    return deployment(GatewayReplica, "gateway", how_many, leave_s).bind(settings, run_dir)
