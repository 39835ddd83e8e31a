"""What the head of a gRPC call says (gRPC over HTTP/2, "Requests")."""

from __future__ import annotations

from collections.abc import Iterable

from configs.errors import BadInput, NotSupported, TooLarge, WeirError
from serve.edge.caller import Caller
from serve.protocol.grpc_timeout import seconds

METADATA_MAX_BYTES = 64 * 2**10
ENCODINGS = b"identity,deflate,gzip"
"""The encodings of messages that are understood, as `grpc-accept-encoding` names them."""
_FIELD_BYTES = 32
_ENCODINGS = {b"identity": None, b"deflate": b"deflate", b"gzip": b"gzip"}
_CONTENT_TYPE = b"application/grpc"
_MORE = (b";", b"+proto")


class Head:
    """The method that is called, and the metadata that matter here.

    `timeout_s` is how long the caller waits, `encoding` how compressed messages are; `fault` is
    what is wrong, told to those who may call. `http_status` is not 200 where no gRPC was spoken.
    """

    __slots__ = ("caller", "encoding", "fault", "http_status", "path", "timeout_s")

    def __init__(self, fields: Iterable[tuple[bytes, bytes]]) -> None:
        self.path = b""
        self.caller = Caller()
        self.timeout_s: float | None = None
        self.encoding: bytes | None = None
        self.fault: WeirError | None = None
        self.http_status = 415
        method, size = b"", 0
        for name, value in fields:
            size += len(name) + len(value) + _FIELD_BYTES
            if name == b":path":
                self.path = value
            elif name == b":method":
                method = value
            elif name == b"content-type":
                self.http_status = 200 if _is_grpc(value) else 415
            elif name == b"grpc-timeout":
                self._waits(value)
            elif name == b"grpc-encoding":
                self._encoded(value)
            else:
                self.caller.hear(name, value)
        if method != b"POST":
            self.http_status = 405
        if size > METADATA_MAX_BYTES:
            self.fault = TooLarge(f"the metadata of a call may have {METADATA_MAX_BYTES} bytes")

    def _waits(self, value: bytes) -> None:
        try:
            self.timeout_s = seconds(value)
        except BadInput as error:
            self.fault = error

    def _encoded(self, value: bytes) -> None:
        try:
            self.encoding = _ENCODINGS[value]
        except KeyError:
            self.fault = NotSupported("messages may be encoded as gzip or deflate, or not at all")


def _is_grpc(content_type: bytes) -> bool:
    more = content_type[len(_CONTENT_TYPE) :]
    return content_type.startswith(_CONTENT_TYPE) and (not more or more.startswith(_MORE))
