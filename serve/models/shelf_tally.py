"""What a shared host counts: which models came into memory, how long that took, and who left."""

from __future__ import annotations

import asyncio
from typing import Protocol

from monitors.blocks import Series, Snapshot
from monitors.telemetry import names
from serve.models.keeper import Keeper
from serve.recorder.counts import Counts


class Transport(Protocol):
    """**Protocol:** the way of counts to whoever folds them; False if they did not get through."""

    def send_snapshot(self, snapshot: Snapshot) -> bool:
        """Send counts."""


class ShelfTally:
    """Counts what a keeper does, and sends it with what is in memory now."""

    def __init__(self, source: str, transport: Transport) -> None:
        self._source = source
        self._transport = transport
        self._counts = Counts()
        self._sequence = 0
        self._counts.histogram(names.SHELF_LOAD_DURATION, "")
        self._counts.add(names.SHELF_UNLOADS, by=0)
        self._counts.add(names.TASK_FAILURES, names.TASK_FOLLOW, by=0)

    def loaded(self, seconds: float, error: str) -> None:
        """Count a load by how long it took; `error` is its code, empty if it went well."""
        self._counts.histogram(names.SHELF_LOAD_DURATION, error).record(seconds)

    def unloaded(self) -> None:
        """Count a model that had to leave memory."""
        self._counts.add(names.SHELF_UNLOADS)

    def failed(self) -> None:
        """Count that the shared host could not do what it is told."""
        self._counts.add(names.TASK_FAILURES, names.TASK_FOLLOW)

    def snapshot(self, keeper: Keeper) -> Snapshot:
        """Give the counts as they are now; a later snapshot replaces one that is lost."""
        self._sequence += 1
        gauges: dict[Series, float] = {
            (names.SHELF_MODELS.name, ()): float(keeper.resident),
            (names.SHELF_MEMORY.name, ()): float(keeper.used_bytes),
        }
        return self._counts.snapshot(self._source, self._sequence, gauges)

    async def tell(self, keeper: Keeper, every_s: float) -> None:
        """Send the counts again and again, from a thread: the way to an actor may take its time."""
        while True:
            await asyncio.sleep(every_s)
            await asyncio.to_thread(self._transport.send_snapshot, self.snapshot(keeper))
