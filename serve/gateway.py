"""The gateway replica without Ray: a route table in, exchanges out."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path

from configs.errors import Breach, ModelNotFound, NotReady
from configs.settings import Settings
from monitors.blocks import Series
from monitors.telemetry import names
from registry.card import Card
from registry.records import Role, RoutedModel, RouteTable, Version
from registry.routing import alias
from serve.case import Case
from serve.exchange import Exchange
from serve.judging import Judging, candidate_bp, incumbent, without_candidate
from serve.models import frames
from serve.models.addresses import folder
from serve.models.batcher import Batcher
from serve.models.links import Links
from serve.models.membership import Membership
from serve.prediction import PredictionIds
from serve.protocol.contract import Contract
from serve.protocol.paths import Pin
from serve.reached import Baseline, Reached
from serve.recorder.recorder import Recorder
from serve.rollout.counting import RolloutCount
from serve.rollout.lease import Lease
from serve.rollout.tallies import Report
from serve.rollout.units import Share
from serve.router import Router, pinned
from serve.served import ServedModel, ServedVersion
from serve.shadow import ShadowQueue, Target
from serve.traces import Trace, Tracer

_QUEUE_BATCHES = 32
VersionKey = tuple[str, int]
TraceDraw = Callable[[int], Trace | None]
"""Opens a request's span, if it is to be traced, given the prediction's draw."""


class Gateway:
    """Routes requests by the table it was given last, and keeps links to the table's versions."""

    def __init__(self, settings: Settings, run_dir: Path, tracer: Tracer) -> None:
        self._settings = settings
        self._run_dir = run_dir
        self._membership = Membership(settings.links, run_dir)
        self._loop = asyncio.get_running_loop()
        self._models: dict[str, ServedModel] = {}
        self._leaving: set[asyncio.Task[None]] = set()
        self._ids = PredictionIds()
        self._counts: dict[str, RolloutCount] = {}
        self._alone = False
        self._met: dict[str, Lease] = {}
        self._apart: frozenset[str] = frozenset()
        self.lease = Lease(self._loop.time())
        self.share = Share()
        self.generation = 0
        self.registered: Mapping[str, tuple[int, ...]] = {}
        self.recorder = Recorder(settings.recorder)
        for reason in names.CLOSED_REASONS:
            self.recorder.counts.add(names.CONNECTIONS_CLOSED, reason, by=0)
        self.tracer = tracer
        self.shadows = ShadowQueue(
            settings.shadow, self.recorder.counts, tracer, settings.limits.deadline_s
        )

    def begin(self, name: str, pin: Pin, unit: bytes | None, draw_trace: TraceDraw) -> Exchange:
        """Route a request: by its pin, its unit, or else its prediction id."""
        model = self._model(name)
        model.gate.admit()
        prediction_id, draw = self._ids.next()
        if pin is None:
            choice = model.router.choose(unit or prediction_id.encode(), draw)
        else:
            choice = pinned(name, tuple(model.versions), _number(model, pin))
        version, role = model.answering(choice)
        case = None
        if model.judging is not None and pin is None and not model.alone:
            case = Case(model.judging, unit or None, version, role)
        if not (version.links.was_connected or (case is not None and case.on_trial)):
            raise _not_ready(version)
        shadow = _shadow(model, choice.shadow) if choice.shadow is not None else None
        return Exchange(version, role, shadow, prediction_id, draw, draw_trace(draw), case)

    def deadline(self) -> float:
        """Give the moment by which a request that begins now must be answered."""
        return self._loop.time() + self._settings.limits.deadline_s

    def apply(self, table: RouteTable) -> None:
        """Route by a new table from now on; versions that it does not name leave when idle.

        What was counted for rollouts that it does not name is forgotten. The lease is renewed only
        if something was decided about what is judged: many a table says nothing of the judge.
        """
        now = self._loop.time()
        if _decided(table.models.values()) - _decided(m.routed for m in self._models.values()):
            self.lease.renew(now)
            self._alone = False
        rollouts = _rollouts(table.models.values())
        self._counts = {
            rollout: count for rollout, count in self._counts.items() if rollout in rollouts
        }
        self._met = {rollout: self._met.get(rollout) or Lease(now) for rollout in rollouts}
        self._apart &= rollouts
        before = self._models
        self._models = {
            name: self._serve(routed, before.get(name)) for name, routed in table.models.items()
        }
        self.generation = table.generation
        self.registered = table.registered
        kept = {id(version) for version in _everything(self._models)}
        for version in _everything(before):
            if id(version) not in kept:
                task = self._loop.create_task(version.leave(self._settings.limits.deadline_s))
                self._leaving.add(task)
                task.add_done_callback(self._leaving.discard)

    def reports(self) -> tuple[Report, ...]:
        """Give what was counted for each rollout of the table; nothing while nothing is judged."""
        return tuple(count.report() for count in self._counts.values())

    def keep_lease(self, now: float) -> None:
        """Serve stable versions alone from now on if the lease is over, and no longer if it is not.

        So it is where arms could not be compared for as long: then there is nothing to judge.
        `now` is a reading of the loop's clock, as are those that the lease is renewed with.
        """
        alone = self.lease.over(now) and bool(self._counts)
        apart = self._look_who_is_apart(now)
        if (alone, apart) != (self._alone, self._apart):
            self._alone, self._apart = alone, apart
            self._models = {
                name: self._serve(model.routed, model) for name, model in self._models.items()
            }

    def _look_who_is_apart(self, now: float) -> frozenset[str]:
        """Give the rollouts whose arms have not been comparable for too long."""
        for model in self._models.values():
            if model.judging is not None and model.judging.comparable:
                self._met[model.judging.count.rollout].renew(now)
        return frozenset(
            model.judging.count.rollout
            for model in self._models.values()
            if model.judging is not None and self._met[model.judging.count.rollout].over(now)
        )

    def connected(self) -> frozenset[Reached]:
        """Give the versions and the baselines that can be reached at this moment."""
        baselines = (
            Baseline(name, model.baseline.version.number)
            for name, model in self._models.items()
            if model.baseline is not None and model.baseline.links.connected
        )
        return frozenset([*(key for key, there in self.reached().items() if there), *baselines])

    def all_connected(self) -> bool:
        """Whether everything that the table names can be reached at this moment."""
        return all(version.links.connected for version in _everything(self._models))

    async def wait_connected(self, timeout_s: float) -> None:
        """Return when everything that the table names can be reached, or after `timeout_s`."""
        waits = [
            asyncio.ensure_future(version.links.wait_connected())
            for version in _everything(self._models)
        ]
        if waits:
            _, late = await asyncio.wait(waits, timeout=timeout_s)
            for wait in late:
                wait.cancel()

    def count_closed(self, reason: str) -> None:
        """Count a connection that was broken off."""
        self.recorder.counts.add(names.CONNECTIONS_CLOSED, reason)

    def count_refused(self, model: str, breach: Breach) -> None:
        """Count a request that breaks the contract of a model, if one of that name is served."""
        if model in self._models:
            self.recorder.counts.add(names.REQUESTS_REFUSED, model, breach.value)

    def gauges(self) -> Mapping[Series, float]:
        """Give what is so at this moment: the table's generation and the versions reached."""
        gauges: dict[Series, float] = {(names.ROUTER_GENERATION.name, ()): float(self.generation)}
        for version in _versions(self._models):
            series = (version.version.model, str(version.version.number))
            gauges[names.VERSION_READY.name, series] = float(version.links.connected)
        for name, model in self._models.items():
            gauges[names.REQUESTS_LIMIT.name, (name,)] = float(model.gate.limit)
            if model.routed.route.judged is not None:
                gauges[names.ROUTER_STABLE_ALONE.name, (name,)] = float(model.alone)
        return gauges

    def model_version(self, name: str, pin: Pin) -> ServedVersion:
        """Give the version that a name without traffic speaks of: the pinned or the stable one."""
        model = self._model(name)
        if pin is None:
            return model.versions[model.routed.route.stable]
        return model.versions[pinned(name, tuple(model.versions), _number(model, pin)).version]

    def version_for(self, name: str, pin: Pin, unit: bytes | None) -> ServedVersion:
        """Give the version that answers a unit; as `model_version` for a pin, or without a unit."""
        if pin is not None or unit is None:
            return self.model_version(name, pin)
        model = self._model(name)
        return model.versions[model.router.choose(unit, 0).version]

    def models(self) -> tuple[str, ...]:
        """Give the names of the models that are served, in alphabetical order."""
        return tuple(sorted(self._models))

    def cards(self, name: str) -> dict[int, Card]:
        """Give the cards of a model's versions that are served, none while it is not.

        `ModelNotFound` if it is not registered.
        """
        if name not in self._models and name in self.registered:
            return {}
        versions = self._model(name).versions
        return {number: served.version.card for number, served in versions.items()}

    def reached(self) -> dict[VersionKey, bool]:
        """Give every version that is served, and whether it can be reached."""
        return {
            (served.version.model, served.version.number): served.links.connected
            for served in _versions(self._models)
        }

    def request_id(self) -> str:
        """Give an id for a request that gets no prediction."""
        return self._ids.next()[0]

    def versions(self, name: str) -> tuple[int, ...]:
        """Give the numbers of a model's versions that are served, in ascending order."""
        return tuple(sorted(self._model(name).versions))

    def ready(self) -> bool:
        """Whether a table has come and every stable version can be reached."""
        return self.generation > 0 and all(
            model.versions[model.routed.route.stable].links.connected
            for model in self._models.values()
        )

    async def close(self) -> None:
        """Drop all links."""
        self.shadows.close()
        for version in _everything(self._models):
            await version.links.close()

    def _model(self, name: str) -> ServedModel:
        model = self._models.get(name)
        if model is None:
            raise ModelNotFound(f"no model {name[:64]!r} is served")
        return model

    def _serve(self, routed: RoutedModel, before: ServedModel | None) -> ServedModel:
        known = before.versions if before is not None else {}
        baseline = before.baseline if before is not None else None
        wanted = routed.baseline
        if wanted is None:
            baseline = None
        elif baseline is None or baseline.version.number != wanted:
            baseline = self._connect(routed.versions[wanted], baseline=True)
        self.recorder.counts.add(names.REQUESTS_SHED, routed.route.model, by=0)
        for breach in Breach:
            self.recorder.counts.add(names.REQUESTS_REFUSED, routed.route.model, breach.value, by=0)
        versions = {
            number: known.get(number) or self._connect(version)
            for number, version in routed.versions.items()
        }
        route = routed.route
        judging = self._judging(routed, versions, baseline, new=before is None)
        judged = route.judged
        alone = judged is not None and (self._alone or judged.rollout in self._apart)
        router = Router(without_candidate(route) if alone else route)
        return ServedModel(routed, router, versions, baseline, judging, alone)

    def _judging(
        self,
        routed: RoutedModel,
        versions: dict[int, ServedVersion],
        baseline: ServedVersion | None,
        *,
        new: bool,
    ) -> Judging | None:
        """Give how a route's requests are judged; None if there is nothing to compare with.

        A replica to which the model is `new` may be the successor of one that counted already.
        """
        route = routed.route
        if route.judged is None or incumbent(route) == route.judged.candidate:
            return None
        count = self._counts.get(route.judged.rollout)
        if count is None:
            count = RolloutCount(
                route.judged.rollout,
                lambda: self.share,
                from_start=not new or candidate_bp(route) == 0,
            )
            self._counts[count.rollout] = count
        return Judging(route.judged, route, versions, baseline, count)

    def _connect(self, version: Version, *, baseline: bool = False) -> ServedVersion:
        hosts = self._settings.hosts
        batcher = Batcher(
            batched=version.signature.batched,
            max_rows=hosts.batch_max_rows,
            queue_max_rows=_QUEUE_BATCHES * hosts.batch_max_rows,
            jobs_max=self._settings.limits.in_flight_max,
        )
        links = Links(
            version.number,
            folder(self._run_dir, version.model, version.number, baseline=baseline),
            batcher,
            frames.longest(self._settings.limits.body_max_bytes),
            self._membership.client_context,
        )
        contract = Contract(version.model, version.signature, version.card)
        return ServedVersion(
            version, contract, batcher, links, self.recorder, self._settings.limits
        )


def _shadow(model: ServedModel, number: int) -> Target:
    """Give where copies for a shadow version go."""
    shadow = model.versions[number]
    return Target(shadow.batcher, shadow.arm(Role.SHADOW), model.gate.busy)


def _not_ready(version: ServedVersion) -> NotReady:
    """The error for a version that never could be reached."""
    number, name = version.version.number, version.version.model
    return NotReady(f"version {number} of {name} is not ready yet")


def _rollouts(models: Iterable[RoutedModel]) -> set[str]:
    return {each.route.judged.rollout for each in models if each.route.judged is not None}


def _decided(models: Iterable[RoutedModel]) -> set[tuple[str, int]]:
    """Give the rollouts of some models, each with the generation of its route."""
    routes = [each.route for each in models]
    return {
        (route.judged.rollout, route.generation) for route in routes if route.judged is not None
    }


def _number(model: ServedModel, pin: int | str) -> int:
    return pin if isinstance(pin, int) else alias(model.routed.route, pin)


def _versions(models: Mapping[str, ServedModel]) -> list[ServedVersion]:
    return [version for model in models.values() for version in model.versions.values()]


def _everything(models: Mapping[str, ServedModel]) -> list[ServedVersion]:
    """Give all that there are links to: versions and baselines."""
    return [version for model in models.values() for version in model.served()]
