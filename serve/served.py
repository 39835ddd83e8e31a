"""A model and its versions as one gateway replica serves them."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass

from configs.settings import Limits
from monitors.telemetry import names
from registry.records import Role, RoutedModel, Version
from serve.admission.gate import Gate
from serve.admission.limit import Bounds
from serve.edge.tensors import Codec
from serve.models.batcher import Batcher
from serve.models.link import Links
from serve.recorder.recorder import ArmRecorder, Recorder
from serve.router import Router

_IDLE_CHECK_S = 0.02


class ServedVersion:
    """One version: how to read its requests, where its batches go, who records its answers."""

    def __init__(
        self,
        version: Version,
        codec: Codec,
        batcher: Batcher,
        links: Links,
        recorder: Recorder,
        limits: Limits,
    ) -> None:
        self.version = version
        self.codec = codec
        self.batcher = batcher
        self.links = links
        self._recorder = recorder
        self._arms: dict[Role, ArmRecorder] = {}
        self._series = (version.model, str(version.number))
        recorder.counts.add(names.VERSION_RETRIES, *self._series, by=0)
        batcher.on_batch = recorder.counts.histogram(names.BATCH_SIZE, *self._series).record
        batcher.on_retry = self._retried
        bounds = Bounds(limits.wait_target_s, limits.in_flight_max)
        self.gate = Gate(version.model, batcher, bounds, self._refused)

    def arm(self, role: Role) -> ArmRecorder:
        """Give who records what this version does in a role."""
        arm = self._arms.get(role)
        if arm is None:
            version = self.version
            arm = self._recorder.arm(version.model, version.number, role, version.signature)
            self._arms[role] = arm
        return arm

    def _retried(self) -> None:
        self._recorder.counts.add(names.VERSION_RETRIES, *self._series)

    def _refused(self) -> None:
        self._recorder.refused(self.version.model)

    async def leave(self, timeout_s: float) -> None:
        """Close once its last requests are answered, or after `timeout_s`."""
        deadline = asyncio.get_running_loop().time() + timeout_s
        while not self.batcher.idle and asyncio.get_running_loop().time() < deadline:  # noqa: ASYNC110
            await asyncio.sleep(_IDLE_CHECK_S)
        await self.links.close()


@dataclass(frozen=True, slots=True)
class ServedModel:
    """One model: its router, its versions by number, and the gate that all its requests pass."""

    routed: RoutedModel
    router: Router
    versions: dict[int, ServedVersion]

    @property
    def gate(self) -> Gate:
        """The gate of the stable version: a canary that hangs must not close it."""
        return self.versions[self.routed.route.stable].gate
