"""gzip and deflate bodies (RFC 9110, section 8.4.1), never more of one than is allowed."""

from __future__ import annotations

import zlib
from functools import lru_cache

from configs.errors import BadInput, TooLarge, UnsupportedEncoding

_GZIP = 16 + zlib.MAX_WBITS
_WINDOWS = {b"gzip": _GZIP, b"deflate": zlib.MAX_WBITS}
_QUICK = 1
_KNOWN = 256
_LONGEST = 256


class Inflater:
    """Takes a compressed body piece by piece; `TooLarge` once it inflates to more than allowed."""

    def __init__(self, encoding: bytes, max_bytes: int) -> None:
        window = _WINDOWS.get(encoding.lower())
        if window is None:
            raise UnsupportedEncoding("a body may be encoded as gzip or deflate, or not at all")
        self._inflate = zlib.decompressobj(window)
        self._left = max_bytes

    def feed(self, data: bytes | memoryview) -> bytes:
        """Give what a piece inflates to."""
        try:
            inflated = self._inflate.decompress(data, self._left + 1)
        except zlib.error:
            raise BadInput("the body is not what its Content-Encoding says") from None
        self._left -= len(inflated)
        if self._left < 0:
            raise TooLarge("the body inflates to more bytes than are allowed")
        if self._inflate.unused_data:
            raise BadInput("the body goes on behind the end of its compressed data")
        return inflated

    def close(self) -> None:
        """Refuse a body that ended too early."""
        if not self._inflate.eof:
            raise BadInput("the body ends before its compressed data does")


def accepted(accept_encoding: bytes) -> bytes | None:
    """Give the first of our encodings that a client accepts, None for none of them."""
    # Remembered, headers without an end would fill the memory.
    return _accepted(accept_encoding) if len(accept_encoding) <= _LONGEST else None


@lru_cache(_KNOWN)
def _accepted(accept_encoding: bytes) -> bytes | None:
    names = set()
    for part in accept_encoding.lower().split(b","):
        name, _, weight = part.partition(b";")
        if b"".join(weight.split()).rstrip(b"0.") != b"q=":
            names.add(name.strip())
    return next((encoding for encoding in _WINDOWS if encoding in names), None)


def deflate(body: bytes, encoding: bytes) -> bytes:
    """Give a body in an encoding of ours."""
    squeeze = zlib.compressobj(_QUICK, wbits=_WINDOWS[encoding])
    return squeeze.compress(body) + squeeze.flush()
