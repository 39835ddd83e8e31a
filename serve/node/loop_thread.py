"""An event loop in a thread of its own, apart from the loop of the framework around it."""

from __future__ import annotations

import asyncio
import sys
import threading
from collections.abc import Coroutine
from concurrent.futures import Future
from typing import Any, TypeVar

import uvloop

from serve.node.priority import at_once

T = TypeVar("T")

_TURN_S = 0.000_5
"""How long a thread that computes may keep the loop waiting; Python's default is ten times that."""


class LoopThread:
    """Runs coroutines on its own uvloop, so that work there waits for nothing else."""

    def __init__(self, name: str) -> None:
        self._loop = uvloop.new_event_loop()
        sys.setswitchinterval(_TURN_S)
        self._thread = threading.Thread(target=self._run, name=name, daemon=True)
        self._thread.start()

    def submit(self, work: Coroutine[Any, Any, T]) -> Future[T]:
        """Start a coroutine on the loop; gives its future, to be waited for from any thread."""
        return asyncio.run_coroutine_threadsafe(work, self._loop)

    async def run(self, work: Coroutine[Any, Any, T]) -> T:
        """Run a coroutine on the loop and wait for it from another loop."""
        return await asyncio.wrap_future(self.submit(work))

    def stop(self, timeout_s: float) -> None:
        """End the loop and its thread."""
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(timeout_s)

    def _run(self) -> None:
        at_once()
        asyncio.set_event_loop(self._loop)
        self._loop.run_forever()
        self._loop.close()
