"""gzip and deflate bodies (RFC 9110, section 8.4.1), never more of one than is allowed."""

from __future__ import annotations

import zlib
from functools import lru_cache

from configs.errors import BadInput, TooLarge, UnsupportedEncoding

_GZIP = 16 + zlib.MAX_WBITS
_WINDOWS = {b"gzip": _GZIP, b"deflate": zlib.MAX_WBITS}
_QUICK = 1
_KNOWN = 256


class Inflater:
    """Takes a compressed body piece by piece; `TooLarge` once it inflates to more than allowed."""

    def __init__(self, encoding: bytes, max_bytes: int) -> None:
        window = _WINDOWS.get(encoding.lower())
        if window is None:
            raise UnsupportedEncoding("a body may be encoded as gzip or deflate, or not at all")
        self._inflate = zlib.decompressobj(window)
        self._left = max_bytes

    def feed(self, data: bytes) -> bytes:
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


@lru_cache(_KNOWN)
def accepted(accept_encoding: bytes) -> bytes | None:
    """Give the encoding that a client accepts best among ours, None for none of them."""
    names = set()
    for part in accept_encoding.lower().split(b","):
        name, _, weight = part.partition(b";")
        if weight.replace(b" ", b"").rstrip(b"0.") != b"q=":
            names.add(name.strip())
    return next((encoding for encoding in _WINDOWS if encoding in names), None)


def deflate(body: bytes, encoding: bytes) -> bytes:
    """Give a body in an encoding of ours."""
    squeeze = zlib.compressobj(_QUICK, wbits=_WINDOWS[encoding])
    return squeeze.compress(body) + squeeze.flush()
