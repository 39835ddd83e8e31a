"""The control plane without Ray: every change goes host first, pointer second, clean-up last."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import AsyncIterator, Callable, Collection, Iterable, Iterator, Mapping
from datetime import datetime
from typing import Literal, TypeVar

from configs.errors import Unavailable
from configs.settings import Settings
from monitors.labels.told import LabelsTold
from registry.alarms import Alarm, AlarmState
from registry.card import Card
from registry.keys import AccessRole, ApiKey, Token
from registry.records import FULL, Arm, AuditEntry, Judged, Route, ShadowArm, Version
from registry.registry import Registry
from registry.routing import back_to
from serve.access.door import Door
from serve.alarms.desk import AlarmDesk
from serve.control.fleet import Fleet
from serve.control.housing import Housing
from serve.control.placement import trusted
from serve.control.publisher import Publisher, named, named_by, reachable
from serve.control.replicas import Replicas
from serve.control.reports import Reports
from serve.control.service import ArmBins, ArmSignals, Explained, Process, VersionStatus
from serve.control.wanted import Wanted, goes_back, idle
from serve.control.watchers import Watchers
from serve.node.names import gateway_pid
from serve.reached import Baseline
from serve.rollout.conductor import Conductor
from serve.rollout.counts import RolloutCounts
from serve.rollout.desk import RolloutDesk
from serve.rollout.tallies import Report

_SETTLE_S = 30.0
_log = logging.getLogger("weir.control")
Kept = TypeVar("Kept")
"""What the registry gives back for a change: a route, or a rollout."""


class ControlPlane:
    """Owns the registry; changes what is served in steps that lose no request.

    A change of route first starts the hosts of the versions it names and waits until every
    gateway replica is connected to them; then the registry commits it and the table is published;
    last, hosts that no route names any more are ended. The door of the control API is given
    the keys with every table.
    """

    def __init__(
        self,
        registry: Registry,
        fleet: Fleet,
        watchers: Watchers,
        replicas: Replicas,
        door: Door,
        settings: Settings,
    ) -> None:
        self._registry = registry
        self._fleet = fleet
        self._housing = Housing(fleet, settings.hosts)
        self._watchers = watchers
        self.desk = AlarmDesk(registry, watchers)
        self.reports = Reports(time.monotonic)
        self.rollout_counts = RolloutCounts()
        self.conductor = Conductor(registry, self, self.reports, watchers, self.rollout_counts)
        self.rollouts = RolloutDesk(
            registry, self.conductor, settings.rollouts, self.rollout_counts
        )
        self._replicas = replicas
        self._publisher = Publisher(registry, replicas, door)
        self._change_turn = asyncio.Lock()
        self._tidying: set[asyncio.Task[None]] = set()

    async def open(self, published: Callable[[], None] = lambda: None) -> None:
        """Bring up the gateway and the hosts of every version that a route names.

        `published` is called once there is a first table: what needs no hosts begins then.
        """
        table = await self._publisher.routes()
        published()
        work = self._fleet.start_gateway(), self._housing.open(table)
        for outcome in await asyncio.gather(*work, return_exceptions=True):
            if outcome is not None:
                raise outcome

    async def close(self) -> None:
        """Let go of hosts that have yet to move; whoever opens next has them in order."""
        for task in self._tidying:
            task.cancel()
        await asyncio.gather(*self._tidying, return_exceptions=True)

    async def rehouse(self) -> None:
        """Give hosts of their own to versions that shared hosts cannot hold any more."""
        async with self._change_turn:
            await self._housing.rehouse(self._replicas.table)

    async def put_artifact(self, chunks: AsyncIterator[bytes]) -> str:
        """Store a file by its content; gives `sha256:<hex>`."""
        loop = asyncio.get_running_loop()

        def pulled() -> Iterator[bytes]:
            """Wait, in the thread that writes, for what the client sends."""
            while chunk := asyncio.run_coroutine_threadsafe(_next(chunks), loop).result():
                yield chunk

        return await asyncio.to_thread(self._registry.put_artifact_stream, pulled())

    async def register(
        self, model: str, digest: str, card: Card | None, profile: str | None, actor: str
    ) -> tuple[Version, tuple[str, ...]]:
        """Check a stored ONNX file and make it the model's next version."""
        made = await asyncio.to_thread(self._registry.register, model, digest, card, profile, actor)
        await self._tell()
        return made

    async def models(self) -> tuple[str, ...]:
        """Give the names of all registered models."""
        return await asyncio.to_thread(self._registry.models)

    async def versions(self, model: str) -> tuple[Version, ...]:
        """Give all versions of a model, oldest first."""
        return await asyncio.to_thread(self._registry.versions, model)

    async def version_status(self, model: str) -> tuple[VersionStatus, ...]:
        """Give the hosting state of each version."""
        hosted = await self._fleet.status()
        return tuple(
            hosted.get((model, version.number))
            or VersionStatus(version.number, "not hosted", "no served route names it")
            for version in await self.versions(model)
        )

    async def route(self, model: str) -> Route | None:
        """Give the route that is in force, or None before the first."""
        return await asyncio.to_thread(self._registry.route, model)

    async def set_route(
        self,
        model: str,
        weights: Mapping[int, float],
        shadow: tuple[int, float] | None,
        actor: str,
        reason: str,
        if_generation: int | None = None,
    ) -> Route:
        """Split the traffic, in percent."""
        arms = frozenset(version for version, weight in weights.items() if weight)
        wanted = Wanted(arms, shadow[0] if shadow else None)

        def commit() -> Route:
            return self._registry.set_route(model, weights, shadow, actor, reason, if_generation)

        async with self._change_turn:
            return await self._change(model, wanted, commit)

    async def promote(
        self, model: str, version: int, actor: str, reason: str, if_generation: int | None = None
    ) -> Route:
        """Give a version all of the traffic."""

        def commit() -> Route:
            return self._registry.promote(model, version, actor, reason, if_generation)

        async with self._change_turn:
            return await self._change(model, Wanted(frozenset({version})), commit)

    async def rollback(
        self, model: str, actor: str, reason: str, if_generation: int | None = None
    ) -> Route:
        """Return to the version that was stable before."""

        def commit() -> Route:
            return self._registry.rollback(model, actor, reason, if_generation)

        present = await self.route(model)
        version = back_to(present) if present is not None and present.served else None
        arms = () if version is None else (Arm(version, FULL),)
        return await self._change_or_go_back(model, arms, None, None, commit)

    async def step_rollout(
        self,
        model: str,
        weights: Mapping[int, int],
        shadow: ShadowArm | None,
        judged: Judged | None,
        commit: Callable[[], Kept],
    ) -> Kept:
        """Divide traffic for a rollout, in basis points by version; `commit` keeps it for good.

        `Unavailable` if not every gateway replica could reach what the route names, and `Refused`
        if that cannot be hosted; then nothing is committed. A way back waits for nobody, and for
        no other change.
        """
        arms = tuple(Arm(number, weight) for number, weight in sorted(weights.items()) if weight)
        return await self._change_or_go_back(model, arms, shadow, judged, commit)

    async def routes_as_wanted(self, model: str) -> bool:
        """Whether every gateway replica serves a model by its present route, all of it reached.

        The version before, which stays warm and answers nobody, need not be.
        """
        route = await self._published(model)
        return route is not None and self._replicas.are_settled(named_by(route))

    async def reaching(self, model: str) -> tuple[int, int]:
        """Give how many gateway replicas reach all that a route names, and how many there are."""
        route = await self.route(model)
        return self._replicas.reaching(named_by(route) if route is not None else frozenset())

    async def routes_back(self, model: str) -> bool:
        """Whether every gateway replica serves a model by its present route, reached or not."""
        if await self._published(model) is None:
            # It is being published, or could not be: nobody else would try that again.
            await self._publisher.routes_meanwhile()
        return self._replicas.are_settled(frozenset())

    async def _published(self, model: str) -> Route | None:
        """The present route of a model, if that is what gateway replicas are told to serve by."""
        routed = self._replicas.table.models.get(model)
        route = await self.route(model)
        told = (
            routed is not None and route is not None and routed.route.generation == route.generation
        )
        return route if told else None

    def take_counts(self, reports: Iterable[Report]) -> None:
        """Take what a gateway replica has counted for rollouts so far.

        `Unavailable` if one of them that is active is not judged: it failed, or nobody looks.
        """
        told = tuple(reports)
        self.reports.take(told)
        if not self.conductor.judges(report.rollout for report in told):
            raise Unavailable("nobody judges rollouts at the moment")

    async def gone(self, replica: str) -> None:
        """Forget a gateway replica that has answered its last request."""
        self.reports.gone(str(gateway_pid(replica)))
        await self._replicas.gone(replica)

    def gateways(self) -> int:
        """Give how many gateway replicas are alive."""
        return len(self._replicas.names())

    async def load(self, model: str, actor: str, reason: str) -> Route:
        """Serve a model as it was before, or its latest version if it never was served."""

        def commit() -> Route:
            return self._registry.load(model, actor, reason)

        async with self._change_turn:
            route = await self.route(model)
            if route is None:
                wanted = Wanted(frozenset({(await self.versions(model))[-1].number}))
            elif route.served:
                return route
            else:
                wanted = Wanted.by(route)
            return await self._change(model, wanted, commit)

    async def unload(self, model: str, actor: str, reason: str) -> Route:
        """Serve a model no longer; its hosts end once no gateway replica routes to them."""

        def commit() -> Route:
            return self._registry.unload(model, actor, reason)

        async with self._change_turn:
            return await self._change(model, Wanted(frozenset()), commit)

    async def keys(self) -> tuple[ApiKey, ...]:
        """Give all API keys, oldest first."""
        return await asyncio.to_thread(self._registry.keys)

    async def create_key(
        self,
        name: str,
        role: AccessRole,
        rate_per_s: float | None,
        expires_at: datetime | None,
        actor: str,
    ) -> tuple[ApiKey, Token]:
        """Make an API key; gateway replicas take it from now on."""
        create = self._registry.create_key
        made = await asyncio.to_thread(create, name, role, rate_per_s, expires_at, actor)
        await self._tell()
        return made

    async def revoke_key(self, key_id: str, actor: str, reason: str) -> ApiKey:
        """End an API key; returns when no gateway replica takes it any more."""
        revoked = await asyncio.to_thread(self._registry.revoke_key, key_id, actor, reason)
        await self._publisher.facts()
        if not await self._replicas.settled(frozenset(), _SETTLE_S):
            raise Unavailable(
                f"key {key_id} is revoked, but not every gateway replica has said that it knows: "
                "replace the gateway's processes if this goes on"
            )
        return revoked

    async def signals(self, model: str) -> tuple[ArmSignals, ...]:
        """Give what the monitors say of every version of a model."""
        await self.versions(model)
        return await self._watchers.signals(model)

    async def bins(self, model: str, subject: str, minutes: int | None) -> tuple[ArmBins, ...]:
        """Give where a feature, a score or the decision has moved, of every version of a model."""
        await self.versions(model)
        return await self._watchers.bins(model, subject, minutes)

    async def labels(self, model: str) -> LabelsTold:
        """Give which predictions of a model have their labels, and how late those came."""
        await self.versions(model)
        return await self._watchers.labels(model)

    async def alarms(self, model: str | None, states: Collection[AlarmState]) -> tuple[Alarm, ...]:
        """Give alarms as they are listed, of one model or all, in some states."""
        return await asyncio.to_thread(self._registry.alarms, model, states)

    async def alarm(self, alarm_id: str) -> Alarm:
        """Give one alarm."""
        return await asyncio.to_thread(self._registry.alarm, alarm_id)

    async def explain_alarm(self, alarm_id: str) -> Explained:
        """Give why an alarm was raised."""
        return await self.desk.explain(alarm_id)

    async def acknowledge_alarm(self, alarm_id: str, actor: str, reason: str) -> Alarm:
        """Note that somebody has taken an alarm on."""
        acknowledge = self._registry.acknowledge_alarm
        return await asyncio.to_thread(acknowledge, alarm_id, actor, reason)

    async def silence_alarm(self, alarm_id: str, until: datetime, actor: str, reason: str) -> Alarm:
        """Tell nobody of an alarm until a moment."""
        silence = self._registry.silence_alarm
        return await asyncio.to_thread(silence, alarm_id, until, actor, reason)

    async def close_alarm(self, alarm_id: str, adopt: bool, actor: str, reason: str) -> Alarm:
        """Re-arm what raised an alarm, perhaps with a new reference."""
        return await self.desk.close(alarm_id, adopt, actor, reason)

    async def audit(self, after: int = 0, limit: int = 100) -> tuple[AuditEntry, ...]:
        """Give audit entries in order."""
        return await asyncio.to_thread(self._registry.audit, after, limit)

    async def verify_audit(self) -> int | None:
        """Give the first entry that breaks the chain of hashes, or None."""
        return await asyncio.to_thread(self._registry.verify_audit)

    async def served_at(self, model: str, at: datetime) -> Route | None:
        """Give the route that was in force at a moment."""
        return await asyncio.to_thread(self._registry.served_at, model, at)

    async def metrics(self, accept: str) -> tuple[bytes, str]:
        """Give the Prometheus page and its content type."""
        return await self._watchers.metrics(accept)

    async def ready(self) -> bool:
        """Whether every gateway replica serves the present table, all its versions reached."""
        return self._publisher.begun and self._replicas.are_settled(named(self._replicas.table))

    async def replace(self, what: Literal["gateway", "version"], model: str, version: int) -> None:
        """Put new processes in the place of the gateway's or a version's present ones."""
        async with self._change_turn:
            if what == "gateway":
                await self._fleet.replace_gateway()
            else:
                await self._fleet.replace_version(
                    await asyncio.to_thread(self._registry.version, model, version)
                )

    async def processes(self) -> tuple[Process, ...]:
        """Give the processes that are running now."""
        gateways = [Process("gateway", gateway_pid(name)) for name in self._replicas.names()]
        return (*await self._fleet.processes(), *gateways)

    async def describe(self, model: str, version: int) -> tuple[Version, bytes | None]:
        """Give a version and the bytes of its reference profile, if it has one."""
        found = await asyncio.to_thread(self._registry.version, model, version)
        if found.profile is None:
            return found, None
        digest = found.profile
        return found, await asyncio.to_thread(self._registry.read_artifact, digest)

    async def _change(self, model: str, wanted: Wanted, commit: Callable[[], Kept]) -> Kept:
        """Make one change; the caller holds `_change_turn`."""
        versions = [
            await asyncio.to_thread(self._registry.version, model, number)
            for number in wanted.versions()
        ]
        proven = trusted(await asyncio.to_thread(self._registry.proven, model), wanted.judged)
        number = wanted.baseline
        baseline = Baseline(model, number) if number is not None else None
        try:
            await self._housing.prepare(versions, wanted.arms, proven, number)
            await self._reach(versions, baseline)
            return await asyncio.to_thread(commit)
        finally:
            table = await self._publisher.routes()
            await self._replicas.settled(reachable(table, versions, baseline), _SETTLE_S)
            await self._housing.settle(self._replicas.table, model)

    async def _change_or_go_back(
        self,
        model: str,
        arms: tuple[Arm, ...],
        shadow: ShadowArm | None,
        judged: Judged | None,
        commit: Callable[[], Kept],
    ) -> Kept:
        """Make a change in its turn, or at once if it is a way back to what is reached.

        What answers already needs no gateway replica to say so: there may be none alive. Two
        changes may meet then: `commit` refuses what was decided on an older state.
        """
        present = await self.route(model)
        wanted = Wanted.by_rollout(present, arms, shadow, judged)
        needed = frozenset((model, number) for number in idle(present, arms))
        if goes_back(present, arms, wanted) and (not needed or self._replicas.reach(needed)):
            return await self._go_back(model, commit)
        async with self._change_turn:
            wanted = Wanted.by_rollout(await self.route(model), arms, shadow, judged)
            return await self._change(model, wanted, commit)

    async def _go_back(self, model: str, commit: Callable[[], Kept]) -> Kept:
        """Make a change at once that names nobody new; whoever has to move does so after it.

        Returns when gateway replicas follow. Hosts move in a task of its own: other changes may
        have the turn for long.
        """
        try:
            return await asyncio.to_thread(commit)
        finally:
            await self._publisher.routes_meanwhile()
            await self._replicas.settled(frozenset(), _SETTLE_S)
            task = asyncio.ensure_future(self._tidy(model))
            self._tidying.add(task)
            task.add_done_callback(self._tidying.discard)

    async def _tidy(self, model: str) -> None:
        """Have a model's hosts where its route wants them, when it is their turn."""
        try:
            async with self._change_turn:
                await self._housing.settle(self._replicas.table, model)
        except Exception:  # noqa: BLE001 - the top of a task; counted
            _log.exception("hosts of %s were not put in order; the next change does it", model)
            self.rollout_counts.failed()

    async def _reach(self, versions: list[Version], baseline: Baseline | None) -> None:
        """Wait until every gateway replica is connected to versions that are hosted."""
        table = await self._publisher.with_versions(versions, baseline)
        wanted = reachable(table, versions, baseline)
        if not await self._replicas.settled(wanted, _SETTLE_S):
            names = ", ".join(f"{version.model} {version.number}" for version in versions)
            some, of = self._replicas.reaching(wanted)
            reached = f", but {some} of {of}" if some < of else ""
            raise Unavailable(
                f"not every gateway replica could reach {names}{reached}; nothing changed"
            )

    async def _tell(self) -> None:
        """Let the gateway replicas that there are know what is registered, and the keys."""
        await self._publisher.facts()
        if self._replicas.names():
            await self._replicas.settled(frozenset(), _SETTLE_S)


async def _next(chunks: AsyncIterator[bytes]) -> bytes:
    """Give the next chunk that is not empty, or nothing at the end."""
    async for chunk in chunks:
        if chunk:
            return chunk
    return b""
