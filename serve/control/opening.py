"""Work that is to be done once, whoever asks for it, and anew after it failed."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable

_log = logging.getLogger("weir.control")


class Opening:
    """Does its work once for all who ask; the next who asks after it failed has it tried again."""

    def __init__(self, work: Callable[[], Awaitable[None]]) -> None:
        self._work = work
        self._task: asyncio.Task[None] | None = None

    def begun(self) -> asyncio.Task[None]:
        """Give the work as it is under way or done; it begins if it was not or has failed."""
        if self._task is None or _failed(self._task):
            self._task = asyncio.get_running_loop().create_task(self._done())
        return self._task

    async def _done(self) -> None:
        try:
            await self._work()
        except Exception:
            # Whoever asked is told as well; but who only waits for the gateway never asks.
            _log.exception("opening failed; it is tried again")
            raise


def _failed(task: asyncio.Task[None]) -> bool:
    return task.done() and (task.cancelled() or task.exception() is not None)
