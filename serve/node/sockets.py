"""The node's listening sockets, and what can be asked of them."""

from __future__ import annotations

import contextlib
import socket
import struct

from configs.errors import StartError

BACKLOG = 2048
"""How many connections may wait in one listening socket; the system may allow fewer."""
_WAITING = struct.Struct("24xI")
"""`tcpi_unacked` of `struct tcp_info`: of a listening socket, the connections to be accepted."""


def listen(host: str, port: int, purpose: str, slots: int = 1) -> tuple[socket.socket, ...]:
    """Open so many listening sockets on one port; `StartError` says in one line that it is taken.

    The kernel deals connections out over them. None may be closed while others listen: what waits
    in it would be reset.
    """
    first = _bound(host, port, purpose, socket.SO_REUSEADDR)
    first.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
    host, port = first.getsockname()[:2]
    with contextlib.ExitStack() as opened:
        held = [opened.enter_context(first)]
        for _ in range(slots - 1):
            more = _bound(host, port, purpose, socket.SO_REUSEADDR, socket.SO_REUSEPORT)
            held.append(opened.enter_context(more))
        for sock in held:
            sock.listen(BACKLOG)
        opened.pop_all()
        return tuple(held)


def waiting(listening: socket.socket) -> int:
    """Give how many connections wait to be accepted from a listening socket."""
    told = listening.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, _WAITING.size)
    (connections,) = _WAITING.unpack(told)
    return int(connections)


def _bound(host: str, port: int, purpose: str, *options: int) -> socket.socket:
    """Bind a port with these options.

    The option that shares a port (SO_REUSEPORT) comes later for its first socket: set before, the
    port of another gateway of the same user would be shared with it.
    """
    opened = socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET)
    for option in options:
        opened.setsockopt(socket.SOL_SOCKET, option, 1)
    try:
        opened.bind((host, port))
    except OSError as error:
        opened.close()
        raise StartError(
            f"cannot listen on {host}:{port} for {purpose}: {error.strerror or error}"
        ) from None
    return opened
