"""Looks now and then whether a version has to leave its shared host, and counts what goes wrong."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

from monitors.telemetry import names
from serve.models.shelf_tally import Transport
from serve.recorder.counts import Counts
from serve.upkeep import keep_up

_LOOK_S = 2.0


class Rehousing:
    """Does `rehouse` again and again; the count of its failures goes out after each time."""

    def __init__(
        self, rehouse: Callable[[], Awaitable[None]], source: str, transport: Transport
    ) -> None:
        self._rehouse = rehouse
        self._source = source
        self._transport = transport
        self._counts = Counts()
        self._sequence = 0
        self._counts.add(names.TASK_FAILURES, names.TASK_REHOUSE, by=0)

    async def run(self) -> None:
        """Look for ever."""
        await keep_up("giving versions hosts of their own", self._look, _LOOK_S, self._failed)

    async def _look(self) -> None:
        try:
            await self._rehouse()
        finally:
            self._sequence += 1
            snapshot = self._counts.snapshot(self._source, self._sequence)
            await asyncio.to_thread(self._transport.send_snapshot, snapshot)

    def _failed(self) -> None:
        self._counts.add(names.TASK_FAILURES, names.TASK_REHOUSE)
