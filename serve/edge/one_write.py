"""uvicorn's HTTP protocol with one write an answer.

uvicorn writes the head and the body of an answer one after the other, and each write is a system
call and a packet of its own. Here the head waits for the body.
"""

from __future__ import annotations

import asyncio
from typing import cast

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

_HEAD = b"HTTP/1.1 "
_INTERIM = b"HTTP/1.1 1"


class _HeadWaits:
    """A transport that holds the head of an answer back until what follows it is written."""

    def __init__(self, transport: asyncio.Transport) -> None:
        self._transport = transport
        self._head = b""
        # Looked up once: these are called for every answer.
        self._write = transport.write
        self.is_closing = transport.is_closing
        self.get_extra_info = transport.get_extra_info
        self.pause_reading = transport.pause_reading
        self.resume_reading = transport.resume_reading
        self.set_protocol = transport.set_protocol
        self.get_write_buffer_size = transport.get_write_buffer_size

    def write(self, data: bytes) -> None:
        """Write what is not the head of a final answer, after the head that waits for it."""
        if self._head:
            head, self._head = self._head, b""
            self._write(head + data)
        elif data.startswith(_HEAD) and not data.startswith(_INTERIM):
            self._head = data
        else:
            self._write(data)

    def close(self) -> None:
        """Write a head that still waits, and close when all is written."""
        if self._head:
            self.write(b"")
        self._transport.close()

    def abort(self) -> None:
        """Close at once."""
        self._transport.abort()


class OneWriteProtocol(HttpToolsProtocol):
    """Gives uvicorn a transport that holds heads back."""

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Begin a connection."""
        super().connection_made(cast("asyncio.Transport", _HeadWaits(transport)))
