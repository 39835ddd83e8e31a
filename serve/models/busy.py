"""How busy a version replica is, by its own watch: no request passes through Ray's handle."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass

from registry.inference import RunOptions
from serve.models.frames import Tensors

_Run = Callable[[Tensors, RunOptions | None], Tensors]


@dataclass(frozen=True, slots=True)
class Load:
    """What a replica did since it was last asked.

    `busy` is the share of the time in which it ran its model, from 0 to 1; `waiting` how many more
    batches it had in hand, on average over all the time.
    """

    busy: float
    waiting: float


class Busy:
    """Watches the runs of one replica, in whichever threads they are."""

    def __init__(self, clock: Callable[[], float] = time.perf_counter) -> None:
        self._clock = clock
        self._lock = threading.Lock()
        self._running = 0
        self._at = self._since = clock()
        self._busy_s = 0.0
        self._running_s = 0.0

    def watched(self, run: _Run) -> _Run:
        """Give the same run, watched."""

        def watched_run(tensors: Tensors, options: RunOptions | None) -> Tensors:
            self._change(1)
            try:
                return run(tensors, options)
            finally:
                self._change(-1)

        return watched_run

    def load(self) -> Load:
        """Give the load since the last call, or since the beginning."""
        with self._lock:
            self._pass()
            seconds = max(self._at - self._since, 1e-9)
            busy = self._busy_s / seconds
            waiting = (self._running_s - self._busy_s) / seconds
            self._since = self._at
            self._busy_s = self._running_s = 0.0
        return Load(busy, waiting)

    def _change(self, by: int) -> None:
        with self._lock:
            self._pass()
            self._running += by

    def _pass(self) -> None:
        """Add up what has passed since the last change."""
        now = self._clock()
        if self._running:
            self._busy_s += now - self._at
            self._running_s += (now - self._at) * self._running
        self._at = now
