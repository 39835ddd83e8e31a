"""An event loop in which time passes when a test says so."""

from __future__ import annotations

import asyncio
import heapq
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import cast
from unittest.mock import patch

Callback = Callable[..., object]


class Handle:
    """What is to be called, unless it is cancelled."""

    def __init__(self, when: float, callback: Callback, arguments: tuple[object, ...]) -> None:
        self.when = when
        self._callback: Callback | None = callback
        self._arguments = arguments

    def cancel(self) -> None:
        """Do not call it."""
        self._callback = None

    def call(self) -> None:
        """Call it."""
        if self._callback is not None:
            self._callback(*self._arguments)


class VirtualLoop:
    """As much of an event loop as a batcher needs."""

    def __init__(self) -> None:
        self.now = 1000.0
        self.mistakes: list[dict[str, object]] = []
        self._ready: deque[Handle] = deque()
        self._timers: list[tuple[float, int, Handle]] = []
        self._made = 0

    def time(self) -> float:
        """The loop's clock."""
        return self.now

    def call_soon(self, callback: Callback, *arguments: object) -> Handle:
        """Call on the next turn."""
        handle = Handle(self.now, callback, arguments)
        self._ready.append(handle)
        return handle

    def call_at(self, when: float, callback: Callback, *arguments: object) -> Handle:
        """Call at a time."""
        handle = Handle(when, callback, arguments)
        self._made += 1
        heapq.heappush(self._timers, (when, self._made, handle))
        return handle

    def call_later(self, delay: float, callback: Callback, *arguments: object) -> Handle:
        """Call after some seconds."""
        return self.call_at(self.now + delay, callback, *arguments)

    def call_exception_handler(self, context: dict[str, object]) -> None:
        """Note what went wrong."""
        self.mistakes.append(context)

    def turn(self) -> None:
        """Call what is ready until nothing is."""
        while self._ready:
            self._ready.popleft().call()

    def wait(self, seconds: float) -> None:
        """Let time pass."""
        end = self.now + seconds
        self.turn()
        while self._timers and self._timers[0][0] <= end:
            when, _, handle = heapq.heappop(self._timers)
            self.now = max(self.now, when)
            handle.call()
            self.turn()
        self.now = end


@contextmanager
def virtual_time() -> Iterator[VirtualLoop]:
    """Run what asks for the running loop, or for the performance counter, in virtual time."""
    loop = VirtualLoop()
    asyncio._set_running_loop(cast("asyncio.AbstractEventLoop", loop))
    try:
        with (
            patch("serve.models.batcher.perf_counter", loop.time),
            patch("serve.models.expiry.perf_counter", loop.time),
        ):
            yield loop
    finally:
        asyncio._set_running_loop(None)
