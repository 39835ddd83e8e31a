"""A transport that writes an answer at once, and closes without cutting it off.

uvicorn writes the head and the body of an answer one after the other, and each write is a system
call and a packet of its own. Here the head waits for the body.
"""

from __future__ import annotations

import asyncio
import fcntl
import socket
import struct
import termios

_HEAD = b"HTTP/1.1 "
_INTERIM = b"HTTP/1.1 1"
_AT_ONCE = struct.pack("ii", 1, 0)
"""The value of `SO_LINGER` with which a close resets the connection (socket(7))."""


class OneWriteTransport:
    """A transport that holds the head of an answer back until what follows it is written.

    While `unread` is set the client is still sending. To close then would reset the connection,
    and the answer could be lost with it; so `close` says that no more will be written and leaves
    the transport `lingering` until it is aborted. `written` counts the bytes of all answers.
    """

    def __init__(self, transport: asyncio.Transport) -> None:
        self._transport = transport
        self._head = b""
        # Looked up once: these are called for every answer.
        self._write = transport.write
        self.get_extra_info = transport.get_extra_info
        self.pause_reading = transport.pause_reading
        self.resume_reading = transport.resume_reading
        self.set_protocol = transport.set_protocol
        self.get_write_buffer_size = transport.get_write_buffer_size
        self.abort = transport.abort
        self.written = 0
        self.unread = False
        self.lingering = False

    def write(self, data: bytes) -> None:
        """Write what is not the head of a final answer, after the head that waits for it."""
        self.written += len(data)
        if self._head:
            head, self._head = self._head, b""
            self._write(head + data)
        elif data.startswith(_HEAD) and not data.startswith(_INTERIM):
            self._head = data
        else:
            self._write(data)

    def flush(self) -> None:
        """Write a head that waits, behind which nothing comes: that of an answer to HEAD."""
        if self._head:
            self.write(b"")

    def write_whole(self, data: bytes) -> None:
        """Write what needs nothing behind it."""
        self.written += len(data)
        self._write(data)

    def close(self) -> None:
        """Write a head that still waits, and close when all is written."""
        self.flush()
        if not self.unread:
            self._transport.close()
        elif not self.is_closing():
            self.lingering = True
            self._write = _ignore
            if self._transport.can_write_eof():
                self._transport.write_eof()

    def is_closing(self) -> bool:
        """Whether nothing more can be written."""
        return self.lingering or self._transport.is_closing()

    def reset(self) -> None:
        """Close at once, and have the system forget what the client has not taken.

        After any other close the system would go on to offer it, for as long as the client likes.
        """
        sock = self.get_extra_info("socket")
        if sock is not None and sock.fileno() >= 0:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _AT_ONCE)
        self.abort()

    def untaken(self) -> int:
        """Give the bytes that were written and that the client's system has not taken yet."""
        waiting = self.get_write_buffer_size()
        sock = self.get_extra_info("socket")
        if sock is None or sock.fileno() < 0:
            return waiting
        return waiting + _unacknowledged(sock.fileno())


def _unacknowledged(descriptor: int) -> int:
    """Give the bytes in a socket's send queue (`SIOCOUTQ` of tcp(7))."""
    queued: int = struct.unpack("i", fcntl.ioctl(descriptor, termios.TIOCOUTQ, b"\0" * 4))[0]
    return queued


def _ignore(data: bytes | bytearray | memoryview) -> None:
    """Write nothing: the answer is complete."""
