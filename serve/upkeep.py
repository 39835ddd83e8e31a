"""Work that a process does again and again, whatever goes wrong with it once."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable

_PAUSE_S = 1.0
"""How long it rests at least after a failure: what goes wrong each time must not fill the log."""
_log = logging.getLogger("weir.upkeep")


async def keep_up(
    what: str, work: Callable[[], Awaitable[None]], every_s: float, failed: Callable[[], None]
) -> None:
    """Do a piece of work every so many seconds, for ever; `failed` counts each failure."""
    pause_s = every_s
    while True:
        await asyncio.sleep(pause_s)
        pause_s = every_s
        try:
            await work()
        except Exception:  # noqa: BLE001 - the top of a task; counted
            _log.exception("%s failed; it is tried again", what)
            failed()
            pause_s = max(every_s, _PAUSE_S)
