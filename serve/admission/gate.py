"""The gate before a version: what is in flight passes, what is too much is refused."""

from __future__ import annotations

from collections.abc import Callable
from time import perf_counter

from configs.errors import Overloaded
from serve.admission.limit import Bounds, Limit
from serve.models.batcher import Batcher


class Gate:
    """Lets requests of one model through to its versions, by the state of the stable one.

    Asked before the arm is chosen, so that it refuses all arms alike. What is in flight is what
    the version's batcher holds: a client that is slow to send its request holds nothing.
    `refused` is told of every refusal.
    """

    def __init__(
        self, model: str, batcher: Batcher, bounds: Bounds, refused: Callable[[], None]
    ) -> None:
        self._limit = Limit(bounds)
        self._batcher = batcher
        self._refused = refused
        self._sentence = f"{model} has as many requests as it can answer in time; try again"
        batcher.on_ran = self._ran

    @property
    def limit(self) -> int:
        """How many requests may be in flight now."""
        return self._limit.value

    def admit(self) -> None:
        """Return if one more request may come; `Overloaded` if not."""
        if not self._limit.admits(self._batcher.in_flight):
            self._refused()
            raise Overloaded(self._sentence)

    def busy(self) -> bool:
        """Whether there is nothing to spare for work that nobody waits for."""
        return self._limit.busy(self._batcher.in_flight)

    def _ran(self, jobs: int, seconds: float) -> None:
        batcher = self._batcher
        self._limit.ran(perf_counter(), jobs, seconds, batcher.in_flight, batcher.carriers)
