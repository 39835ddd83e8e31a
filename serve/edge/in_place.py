"""The rest of a large body, read by the system straight to where it belongs.

The parser would have every part of it copied three times on its way. What is read here has no
syntax: so many bytes, as `Content-Length` has said.
"""

from __future__ import annotations

import asyncio
from typing import Protocol

_FIRST_BYTES = 2**12
_NOWHERE = memoryview(bytearray())


class Owner(Protocol):
    """**Protocol:** the connection whose request it is."""

    def filled(self, count: int, *, whole: bool) -> bool:
        """Take in so many more bytes, and whether they are the last; whether more go there."""

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
    """Hears what the connection would hear, but for what is read.

    A TLS transport remembers for whom it read last, even when that is over: so who stands in lets
    go of the owner when it has done its part.
    """

    def __init__(self, owner: Owner) -> None:
        self._owner: Owner | None = owner

    def let_go(self) -> None:
        """Keep nothing alive any more."""
        self._owner = None

    def eof_received(self) -> bool | None:
        """Tell the owner."""
        return self._owner.eof_received() if self._owner is not None else None

    def connection_lost(self, exc: Exception | None) -> None:
        """Tell the owner, for the last time."""
        owner = self._owner
        self.let_go()
        if owner is not None:
            owner.connection_lost(exc)

    def pause_writing(self) -> None:
        """Tell the owner."""
        if self._owner is not None:
            self._owner.pause_writing()

    def resume_writing(self) -> None:
        """Tell the owner."""
        if self._owner is not None:
            self._owner.resume_writing()


class RestOfBody(_StandIn):
    """Stands in for a connection until `place` is full, or the connection is its own again."""

    def __init__(self, owner: Owner, place: memoryview) -> None:
        super().__init__(owner)
        self._place = place

    def let_go(self) -> None:
        """Keep nothing alive any more."""
        super().let_go()
        self._place = _NOWHERE

    def get_buffer(self, sizehint: int) -> memoryview:
        """Give the place of what is missing and no more: what follows is another request."""
        del sizehint
        return self._place

    def buffer_updated(self, nbytes: int) -> None:
        """Tell the owner how much has come."""
        self._place = self._place[nbytes:]
        if self._owner is not None and not self._owner.filled(nbytes, whole=not self._place):
            self.let_go()


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
        owner = self._owner
        self.let_go()
        if owner is not None:
            owner.first_bytes(bytes(self._bytes[:nbytes]))
