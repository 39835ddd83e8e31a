"""What the head of an inference request says, and a memory for heads that come again.

A client that keeps its connection sends the same head again and again: the same bytes mean the
same, so they need not be parsed.
"""

from __future__ import annotations

from collections.abc import Iterable

from configs.errors import BadInput, WeirError
from serve.edge.caller import Caller
from serve.protocol.paths import Endpoint

_HEADS = 1024
_LONGEST = 2048
_LARGE_BYTES = 2**17
"""From here on, it pays to have the system write a body to where it belongs."""


class Head:
    """The endpoint that is asked, and the headers that matter here.

    `length` is what `Content-Length` says, `json_bytes` how many bytes of the body are JSON,
    `expects` whether the client waits to be asked for it; `fault` is what is wrong with them.
    """

    __slots__ = (
        "accepts",
        "caller",
        "encoding",
        "endpoint",
        "expects",
        "fault",
        "json_bytes",
        "length",
    )

    def __init__(self, endpoint: Endpoint, fields: Iterable[tuple[bytes, bytes]]) -> None:
        self.endpoint = endpoint
        self.caller = Caller()
        self.length: int | None = None
        self.encoding: bytes | None = None
        self.accepts: bytes | None = None
        self.expects = False
        self.json_bytes: int | None = None
        self.fault: WeirError | None = None
        for name, value in fields:
            if name == b"content-length":
                self.length = int(value)
            elif name == b"content-encoding":
                self.encoding = value if value.lower() != b"identity" else None
            elif name == b"accept-encoding":
                self.accepts = value
            elif name == b"expect":
                self.expects = value.lower() == b"100-continue"
            elif name == b"inference-header-content-length":
                self._json_bytes(value)
            else:
                self.caller.hear(name, value)

    @property
    def plain(self) -> bool:
        """Whether the body means what its bytes say, and nothing is to be said before it comes."""
        return self.encoding is None and self.fault is None and not self.expects

    @property
    def large(self) -> int:
        """Give the length of a body that is to be read into place, 0 if it is to come in parts."""
        length = self.length
        if length is None or length < _LARGE_BYTES or self.encoding is not None:
            return 0
        return length

    def _json_bytes(self, value: bytes) -> None:
        if value.isdigit() and len(value) <= 12:
            self.json_bytes = int(value)
        else:
            self.fault = BadInput("Inference-Header-Content-Length must be a number of bytes")


class Heads:
    """Heads by their bytes; when there are too many, all are forgotten."""

    def __init__(self) -> None:
        self._known: dict[bytes, Head] = {}
        self.known = self._known.get

    def learn(self, raw: bytes, head: Head) -> None:
        """Remember a head, unless it is long."""
        if len(raw) > _LONGEST:
            return
        if len(self._known) >= _HEADS:
            self._known.clear()
        self._known[raw] = head
