"""The control plane looks again and again for versions that have to leave their shared host."""

from __future__ import annotations

import asyncio

import pytest

from monitors.blocks import Snapshot
from monitors.telemetry import names
from serve import upkeep
from serve.control import rehousing as module
from serve.control.rehousing import Rehousing
from tests.serve.waiting import until

FAILURES = names.TASK_FAILURES.name, (names.TASK_REHOUSE,)


class Sent:
    """Keeps the counts that were sent."""

    def __init__(self) -> None:
        self.failures: list[int] = []

    def send_snapshot(self, snapshot: Snapshot) -> bool:
        """Keep the count of failures."""
        self.failures.append(snapshot.counters[FAILURES])
        return True


async def test_a_look_that_fails_is_counted_and_others_follow(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The count goes out from the first look on, at nought, so that its rise can be seen."""
    monkeypatch.setattr(module, "_LOOK_S", 0.001)
    monkeypatch.setattr(upkeep, "_PAUSE_S", 0.001)
    sent, looks = Sent(), 0

    async def rehouse() -> None:
        nonlocal looks
        looks += 1
        if looks == 2:
            message = "nobody expected this"
            raise RuntimeError(message)

    looking = asyncio.ensure_future(Rehousing(rehouse, "control-1", sent).run())
    await until(lambda: len(sent.failures) >= 4, "counts after the failure")
    looking.cancel()

    assert sent.failures[:4] == [0, 0, 1, 1]
