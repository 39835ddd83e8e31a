"""How a gRPC message is framed (gRPC over HTTP/2, "Length-Prefixed-Message")."""

from __future__ import annotations

import struct

PREFIX_BYTES = 5
_PREFIX = struct.Struct(">BI")


def framed(message: bytes) -> bytes:
    """Give a message as it stands in the body of an answer, not compressed."""
    return _PREFIX.pack(0, len(message)) + message


def prefix(data: bytes, at: int) -> tuple[int, int]:
    """Give the compressed flag, as it was sent, and the length in bytes of the message behind."""
    flag, length = _PREFIX.unpack_from(data, at)
    return int(flag), int(length)
