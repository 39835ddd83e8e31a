"""One request of the inference ports, from its arrival to its answer."""

from __future__ import annotations

from time import perf_counter

from serve.exchange import Exchange
from serve.protocol.paths import Endpoint


class Visit:
    """What has become of one request so far.

    `arrived` and `deadline` are readings of the loop's clock; `code` is that of its error.
    """

    __slots__ = ("arrived", "code", "deadline", "endpoint", "exchange", "started")

    def __init__(self, now: float, deadline_s: float) -> None:
        self.started = perf_counter()
        self.arrived = now
        self.deadline = now + deadline_s
        self.endpoint: Endpoint | None = None
        self.exchange: Exchange | None = None
        self.code = ""

    def waits(self, seconds: float | None) -> None:
        """Bring the deadline forward to what the client waits; nothing puts it off."""
        if seconds is not None and self.arrived + seconds < self.deadline:
            self.deadline = self.arrived + seconds
