"""What a request says of who sends it, whether in HTTP headers or in gRPC metadata."""

from __future__ import annotations

import math
from collections.abc import Iterable

from configs.errors import BadInput


class Caller:
    """The few headers of a request that matter, over either protocol; names are lower case.

    `timeout_s` is what `Weir-Timeout-Ms` says; of several the shortest counts.
    """

    __slots__ = ("authorization", "timeout_s", "traceparent", "tracestate", "unit")

    def __init__(self) -> None:
        self.authorization: bytes | None = None
        self.unit: bytes | None = None
        self.traceparent: bytes | None = None
        self.tracestate = b""
        self.timeout_s: float | None = None

    @classmethod
    def of(cls, headers: Iterable[tuple[bytes, bytes]]) -> Caller:
        """Read all headers; `BadInput` for a time-out that is none."""
        caller = cls()
        for name, value in headers:
            caller.hear(name, value)
        return caller

    def hear(self, name: bytes, value: bytes) -> None:
        """Take in one header; one that does not matter is let pass."""
        if name == b"weir-key":
            self.unit = value
        elif name == b"authorization":
            self.authorization = value
        elif name == b"traceparent":
            self.traceparent = value
        elif name == b"tracestate":
            self.tracestate = value
        elif name == b"weir-timeout-ms":
            seconds = _milliseconds(value)
            self.timeout_s = seconds if self.timeout_s is None else min(seconds, self.timeout_s)


def _milliseconds(value: bytes) -> float:
    try:
        seconds = float(value) / 1000
    except ValueError:
        seconds = math.nan
    if not seconds > 0:
        raise BadInput("Weir-Timeout-Ms must be a number of milliseconds above 0")
    return seconds
