"""The rest of a large body, read by the system straight to where it belongs.

The parser would have every part of it copied three times on its way. What is read here has no
syntax: so many bytes, as `Content-Length` has said.
"""

from __future__ import annotations

import asyncio
from typing import Protocol

_FIRST_BYTES = 2**12


class Owner(Protocol):
    """**Protocol:** the connection whose request it is."""

    def filled(self, count: int, *, whole: bool) -> None:
        """Take in that so many more bytes lie in place, and whether nothing is missing now."""

    def eof_received(self) -> bool | None:
        """Hear that the client will send no more."""

    def connection_lost(self, exc: Exception | None) -> None:
        """Hear that the connection has ended."""

    def pause_writing(self) -> None:
        """Hear that the client does not take what is written."""

    def resume_writing(self) -> None:
        """Hear that it does again."""

    def first_bytes(self, data: bytes) -> None:
        """Take in what was read behind a large request, and read as usual from here on."""


class _StandIn(asyncio.BufferedProtocol):
    """Hears what the connection would hear, but for what is read."""

    def __init__(self, owner: Owner) -> None:
        self._owner = owner

    def eof_received(self) -> bool | None:
        """Tell the owner."""
        return self._owner.eof_received()

    def connection_lost(self, exc: Exception | None) -> None:
        """Tell the owner."""
        self._owner.connection_lost(exc)

    def pause_writing(self) -> None:
        """Tell the owner."""
        self._owner.pause_writing()

    def resume_writing(self) -> None:
        """Tell the owner."""
        self._owner.resume_writing()


class RestOfBody(_StandIn):
    """Stands in for a connection until `place` is full, or the connection is its own again."""

    def __init__(self, owner: Owner, place: memoryview) -> None:
        super().__init__(owner)
        self._place = place

    def get_buffer(self, sizehint: int) -> memoryview:
        """Give the place of what is missing and no more: what follows is another request."""
        del sizehint
        return self._place

    def buffer_updated(self, nbytes: int) -> None:
        """Tell the owner how much has come."""
        self._place = self._place[nbytes:]
        self._owner.filled(nbytes, whole=not self._place)


class FirstBytes(_StandIn):
    """Stands in behind a large request, for one read of a head and little more.

    Another large one is likely to follow. Read as usual, much of its body would come along.
    """

    def __init__(self, owner: Owner) -> None:
        super().__init__(owner)
        self._bytes = bytearray(_FIRST_BYTES)

    def get_buffer(self, sizehint: int) -> bytearray:
        """Give room for a head."""
        del sizehint
        return self._bytes

    def buffer_updated(self, nbytes: int) -> None:
        """Hand over to the owner."""
        self._owner.first_bytes(bytes(self._bytes[:nbytes]))
