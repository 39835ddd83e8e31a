"""A conductor over a real registry, with a stage, counts, monitors and clocks that tests move."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import Any, TypeVar

from configs.errors import WeirError
from configs.policy import EVENTS, Metric, Policy
from configs.settings import Rollouts
from monitors.labels.assigned import LabelledUnits
from monitors.signal import Signal, Verdict
from registry.records import Judged, Route, ShadowArm
from registry.registry import Registry
from registry.rollouts import Rollout, RolloutState
from serve.control.reports import Reports
from serve.control.service import ArmSignals
from serve.rollout.conductor import Conductor
from serve.rollout.counts import RolloutCounts
from serve.rollout.desk import RolloutDesk
from serve.rollout.service import Done, Order, Start
from serve.rollout.tallies import LATENCY_BOUNDS, JudgedArm, Pairs, Report, Tally, Times
from tests.serve.versions import MODEL

Kept = TypeVar("Kept")
QUICK: Mapping[str, Any] = {
    "steps": [5, 50],
    "dwell_s": 10,
    "step_max_s": 1000,
    "min_units": 100,
    "bake_s": 60,
    "shadow": {"min_pairs": 100},
    "guardrails": [
        {"metric": "error_ratio", "margin_abs": 0.02},
        {"metric": "latency_over_slo", "margin_rel": 4.0, "optional": True},
        {"metric": "signals", "optional": True},
    ],
}


@dataclass
class Clock:
    """A clock that a test moves, of both kinds."""

    now: datetime = field(default_factory=lambda: datetime.now(UTC) + timedelta(hours=1))
    began: datetime = field(init=False)

    def __post_init__(self) -> None:
        self.began = self.now

    def __call__(self) -> datetime:
        """The time."""
        return self.now

    def seconds(self) -> float:
        """Seconds since the beginning."""
        return (self.now - self.began).total_seconds()

    def later(self, seconds: float) -> None:
        """Let time pass."""
        self.now += timedelta(seconds=seconds)


@dataclass
class MemoryStage:
    """Divides the traffic of nobody; a test says what goes wrong, and what takes long."""

    log: list[Mapping[int, int]] = field(default_factory=list)
    fails: WeirError | None = None
    surprise: Exception | None = None
    hosts: asyncio.Event = field(default_factory=asyncio.Event)
    wanted: bool = True
    back: bool = True
    replicas: int = 1

    def __post_init__(self) -> None:
        self.hosts.set()

    async def step_rollout(
        self,
        model: str,
        weights: Mapping[int, int],
        shadow: ShadowArm | None,
        judged: Judged | None,
        commit: Callable[[], Kept],
    ) -> Kept:
        """Note it; more traffic waits for hosts, a way back does not."""
        del model, shadow
        self.log.append({number: share for number, share in weights.items() if share})
        if self.surprise is not None:
            raise self.surprise
        if judged is not None:
            await self.hosts.wait()
            if self.fails is not None:
                raise self.fails
        return await asyncio.to_thread(commit)

    async def routes_as_wanted(self, model: str) -> bool:
        """Whether a test says so."""
        del model
        return self.wanted

    async def reaching(self, model: str) -> tuple[int, int]:
        """All of them, or none."""
        del model
        return (self.replicas if self.wanted else 0), self.replicas

    async def routes_back(self, model: str) -> bool:
        """Whether a test says so."""
        del model
        return self.back

    def gateways(self) -> int:
        """As many as a test says."""
        return self.replicas


@dataclass
class MemoryMonitors:
    """Monitors that have alarms on versions, or are away."""

    alarms: dict[int, set[str]] = field(default_factory=dict)
    labelled: tuple[LabelledUnits, ...] = ()
    away: WeirError | None = None

    async def labelled_units(self, model: str) -> tuple[LabelledUnits, ...]:
        """What a test has put there."""
        del model
        if self.away is not None:
            raise self.away
        return self.labelled

    async def signals(self, model: str) -> tuple[ArmSignals, ...]:
        """What a test has put there."""
        del model
        if self.away is not None:
            raise self.away
        return tuple(
            ArmSignals(version, "canary", 500, tuple(map(_alarm, sorted(subjects))))
            for version, subjects in self.alarms.items()
        )


def _alarm(subject: str) -> Signal:
    return Signal("drift", "input_drift", subject, Verdict.ALARM, rows=500)


class Stand:
    """A rollout of version 2 after version 1, and all that it takes."""

    def __init__(self, registry: Registry, clock: Clock) -> None:
        self.registry = registry
        self.clock = clock
        self.stage = MemoryStage()
        self.monitors = MemoryMonitors()
        self.counts = RolloutCounts()
        self.source: dict[str, Report] = {}
        self.open()

    def open(self) -> None:
        """Have a conductor that remembers nothing, as after a restart."""
        self.reports = Reports(self.clock.seconds)
        self.conductor = Conductor(
            self.registry,
            self.stage,
            self.reports,
            self.monitors,
            self.counts,
            self.clock,
            self.clock.seconds,
        )
        self.desk = RolloutDesk(self.registry, self.conductor, Rollouts(), self.counts, self.clock)

    async def start(self, **policy: Any) -> Rollout:
        """Begin a rollout by a quick policy."""
        start = Start(MODEL, 2, "ada", "better", {**QUICK, **policy})
        return (await self.desk.start(start)).rollout

    async def order(self, command: Any, by: str = "ada", reason: str = "", **more: Any) -> Done:
        """Want something of the latest rollout."""
        order = Order(command, by, reason, **more)
        return await self.desk.command(self.rollout.id, order)

    @property
    def rollout(self) -> Rollout:
        """The latest rollout as it is now."""
        return self.registry.rollouts(MODEL)[-1]

    @property
    def route(self) -> Route:
        """The route as it is now."""
        route = self.registry.route(MODEL)
        assert route is not None
        return route

    @property
    def weights(self) -> dict[int, int]:
        """How the traffic is divided now."""
        return {arm.version: arm.weight_bp for arm in self.route.arms}

    @property
    def actions(self) -> list[str]:
        """What was done to the latest rollout."""
        return [change.action for change in self.registry.rollout_changes(self.rollout.id)]

    async def look(self, seconds: float = 1.0) -> Rollout:
        """Let time pass, look, and let what was begun come to its end."""
        self.clock.later(seconds)
        await self.conductor.look()
        await self.rest()
        return self.rollout

    async def rest(self) -> None:
        """Let what was begun come to its end, unless it waits for hosts."""
        if self.stage.hosts.is_set():
            await asyncio.gather(*self.conductor.under_way, return_exceptions=True)
        else:
            await asyncio.sleep(0.01)

    async def until(self, state: RolloutState, seconds: float = 11.0, looks: int = 20) -> Rollout:
        """Serve good traffic and look until the rollout is in a state."""
        for _ in range(looks):
            if self.rollout.state is state:
                return self.rollout
            self.clock.later(seconds)
            self.serve()
            await self.look(0.0)
        assert self.rollout.state is state, (self.rollout, self.actions)
        return self.rollout

    def serve(
        self,
        units: int = 4000,
        bad: Mapping[JudgedArm, float] | None = None,
        metric: Metric = Metric.ERROR_RATIO,
        source: str = "g1",
    ) -> None:
        """Have a gateway process count units, and report all that it has counted so far."""
        route, rollout = self.route, self.rollout
        before = self.source.get(source, Report(source, rollout.id))
        if before.rollout != rollout.id:
            before = Report(source, rollout.id)
        if route.judged is None:
            return
        shares = {
            JudgedArm.CANDIDATE: self.weights.get(2, 0),
            JudgedArm.BASELINE: route.judged.baseline_bp,
        }
        shares[JudgedArm.STABLE] = 10_000 - sum(shares.values())
        arms = dict(before.stretches.get(route.generation, {}))
        for arm, share in shares.items():
            seen = units * share // 10_000
            events = round(seen * (bad or {}).get(arm, 0.0))
            known = arms.get(arm, Tally(0, dict.fromkeys(EVENTS, 0), dict.fromkeys(EVENTS, 0)))
            arms[arm] = Tally(
                known.units + seen,
                {**known.trials, metric: known.trials.get(metric, 0) + events},
                {**known.events, metric: known.events.get(metric, 0) + events},
            )
        shadowed = units if route.shadow is not None else 0
        report = replace(
            before,
            stretches={**before.stretches, route.generation: arms},
            pairs=Pairs(before.pairs.rows + shadowed),
            latency={
                arm: before.latency.get(arm, Times()) + _fast(units * share // 10_000)
                for arm, share in shares.items()
            },
        )
        self.source[source] = report
        self.reports.take([report])

    def report_again(self) -> None:
        """Have every gateway process say once more what it has said."""
        self.reports.take(self.source.values())


def _fast(answers: int) -> Times:
    """Answers that all take about 10 ms."""
    place = next(n for n, bound in enumerate(LATENCY_BOUNDS) if bound >= 0.01)
    counts = [0] * (len(LATENCY_BOUNDS) + 1)
    counts[place] = answers
    return Times(tuple(counts))


def policy(**changes: Any) -> Policy:
    """The quick policy."""
    return Policy.model_validate({**QUICK, **changes})
