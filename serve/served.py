"""A model and its versions as one gateway replica serves them."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from dataclasses import dataclass
from time import perf_counter, time
from typing import TYPE_CHECKING

from configs.settings import Limits
from monitors.telemetry import names
from registry.records import Role, RoutedModel, Version
from serve.admission.gate import Gate
from serve.admission.limit import Bounds
from serve.models.batcher import Batcher
from serve.models.health import Reason
from serve.models.links import Links
from serve.protocol.contract import Contract
from serve.protocol.describe import Durations, Statistics
from serve.recorder.recorder import ArmRecorder, Recorder
from serve.recorder.samples import Origin
from serve.rollout.invalid import Validity
from serve.router import Choice, Router

if TYPE_CHECKING:
    from serve.judging import Judging

_IDLE_CHECK_S = 0.02


class ServedVersion:
    """One version: what it takes and gives, where its batches go, who records its answers."""

    def __init__(
        self,
        version: Version,
        contract: Contract,
        batcher: Batcher,
        links: Links,
        recorder: Recorder,
        limits: Limits,
    ) -> None:
        self.version = version
        self.contract = contract
        self.validity = Validity(version.signature)
        self.batcher = batcher
        self.links = links
        self._recorder = recorder
        self._arms: dict[Role, ArmRecorder] = {}
        self._series = (version.model, str(version.number))
        recorder.counts.add(names.VERSION_RETRIES, *self._series, by=0)
        for reason in Reason:
            recorder.counts.add(names.VERSION_EJECTIONS, *self._series, reason, by=0)
        batcher.on_batch = recorder.counts.histogram(names.BATCH_SIZE, *self._series).record
        batcher.on_retry = self._retried
        links.on_ejected = self._ejected
        bounds = Bounds(limits.wait_target_s, limits.in_flight_max)
        self.gate = Gate(version.model, batcher, bounds, self._refused)

    def arm(self, role: Role) -> ArmRecorder:
        """Give who records what this version does in a role."""
        arm = self._arms.get(role)
        if arm is None:
            version = self.version
            arm = self._recorder.arm(
                Origin.watched(
                    version.model, version.number, _seen_as(role), version.signature, version.card
                ),
                role,
            )
            self._arms[role] = arm
        return arm

    def statistics(self) -> Statistics:
        """Tell what the version did for callers; how batches went includes those of shadows."""
        batcher = self.batcher
        arms = [arm for role, arm in self._arms.items() if role is not Role.SHADOW]
        last = max((arm.last_answer_s for arm in arms), default=0.0)
        return Statistics(
            succeeded=_sum(arm.succeeded for arm in arms),
            failed=_sum(arm.errors for arm in arms),
            queued=Durations(batcher.jobs_ran, batcher.seconds_queued),
            ran=Durations(batcher.jobs_ran, batcher.seconds_ran),
            rows=batcher.rows_ran,
            batches=batcher.batches_ran,
            last_ms=int((time() - (perf_counter() - last)) * 1000) if last else 0,
        )

    def _retried(self) -> None:
        self._recorder.counts.add(names.VERSION_RETRIES, *self._series)

    def _ejected(self, reason: Reason) -> None:
        self._recorder.counts.add(names.VERSION_EJECTIONS, *self._series, reason)

    def _refused(self) -> None:
        self._recorder.refused(self.version.model)

    async def leave(self, timeout_s: float) -> None:
        """Close once its last requests are answered, or after `timeout_s`."""
        deadline = asyncio.get_running_loop().time() + timeout_s
        while not self.batcher.idle and asyncio.get_running_loop().time() < deadline:  # noqa: ASYNC110
            await asyncio.sleep(_IDLE_CHECK_S)
        await self.links.close()


def _seen_as(role: Role) -> Role:
    """Give the role in which the monitors see what a version does.

    The baseline is the stable version: its rows belong to the same stream, which is watched once.
    """
    return Role.STABLE if role is Role.BASELINE else role


def _sum(durations: Iterable[tuple[int, float]]) -> Durations:
    counts = [*durations]
    return Durations(sum(count for count, _ in counts), sum(seconds for _, seconds in counts))


@dataclass(frozen=True, slots=True)
class ServedModel:
    """One model: its router, its versions by number, and the gate that all its requests pass.

    The `baseline` is the stable version once more, with links to hosts of its own. `judging` is
    there while the route is judged; a route whose judge sees nothing is served `alone`: by its
    stable version.
    """

    routed: RoutedModel
    router: Router
    versions: dict[int, ServedVersion]
    baseline: ServedVersion | None = None
    judging: Judging | None = None
    alone: bool = False

    @property
    def gate(self) -> Gate:
        """The gate of the stable version: a canary that hangs must not close it."""
        return self.versions[self.routed.route.stable].gate

    def answering(self, choice: Choice) -> tuple[ServedVersion, Role]:
        """Give who answers, and in which role: stable where the baseline cannot be reached."""
        if choice.role is not Role.BASELINE:
            return self.versions[choice.version], choice.role
        if self.baseline is not None and self.baseline.links.connected:
            return self.baseline, Role.BASELINE
        return self.versions[choice.version], Role.STABLE

    def served(self) -> tuple[ServedVersion, ...]:
        """Give all versions, and the baseline."""
        beside = (self.baseline,) if self.baseline is not None else ()
        return (*self.versions.values(), *beside)
