"""What a request says of who sends it, whether in HTTP headers or in gRPC metadata."""

from __future__ import annotations

import math
from collections.abc import Iterable

from configs.errors import BadInput


class Caller:
    """The few headers of a request that matter, over either protocol; names are lower case."""

    __slots__ = ("_timeouts", "authorization", "traceparent", "tracestate", "unit")

    def __init__(self) -> None:
        self.authorization: bytes | None = None
        self.unit: bytes | None = None
        self.traceparent: bytes | None = None
        self.tracestate = b""
        self._timeouts: tuple[bytes, ...] = ()

    @classmethod
    def of(cls, headers: Iterable[tuple[bytes, bytes]]) -> Caller:
        """Read all headers."""
        caller = cls()
        for name, value in headers:
            caller.hear(name, value)
        return caller

    def hear(self, name: bytes, value: bytes) -> None:
        """Take in one header; one that does not matter is let pass."""
        if name == b"weir-key":
            self.unit = value
        elif name == b"authorization":
            # Of two nobody can say which is meant, so neither is.
            self.authorization = value if self.authorization is None else b""
        elif name == b"traceparent":
            self.traceparent = value
        elif name == b"tracestate":
            self.tracestate = value
        elif name == b"weir-timeout-ms":
            self._timeouts = (*self._timeouts, value)

    def timeout_s(self) -> float | None:
        """What `Weir-Timeout-Ms` says, of several the shortest; `BadInput` if it says nothing."""
        return min(map(_seconds, self._timeouts)) if self._timeouts else None


def _seconds(milliseconds: bytes) -> float:
    try:
        seconds = float(milliseconds) / 1000
    except ValueError:
        seconds = math.nan
    if not seconds > 0:
        raise BadInput("Weir-Timeout-Ms must be a number of milliseconds above 0")
    return seconds
