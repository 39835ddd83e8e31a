"""How a version replica is called: inside this process, on this node, or by TLS on another."""

from __future__ import annotations

import asyncio
import socket
import ssl
from collections.abc import Callable

from serve.models.addresses import Address, host_and_port, is_inside
from serve.models.incoming import FrameProtocol
from serve.models.inside import call

_CONNECT_S = 2.0
_GONE_MS = 10_000
_KEEP_ALIVE = (
    (socket.TCP_KEEPIDLE, 5),
    (socket.TCP_KEEPINTVL, 2),
    (socket.TCP_KEEPCNT, 3),
    (socket.TCP_USER_TIMEOUT, _GONE_MS),
    (socket.TCP_NODELAY, 1),
)
"""A node that went without a word is noticed within ten seconds, though nothing is sent to it."""


async def dial(
    factory: Callable[[], FrameProtocol],
    address: Address,
    tls: Callable[[], ssl.SSLContext | None],
) -> None:
    """Connect a protocol to a replica; `OSError` if it cannot be reached.

    A replica on another node is called over TLS only: when `tls` gives no context, it cannot be
    reached.
    """
    if is_inside(address):
        call(address, factory())
        return
    loop = asyncio.get_running_loop()
    remote = host_and_port(address)
    if remote is None:
        await loop.create_unix_connection(factory, address)
        return
    context = tls()
    if context is None:
        raise OSError(f"{address} is on another node, and there is no certificate to show")
    async with asyncio.timeout(_CONNECT_S):
        transport, _ = await loop.create_connection(factory, *remote, ssl=context)
    watch(transport)


def watch(transport: asyncio.BaseTransport) -> None:
    """Have the system notice when the other end of a TCP connection has gone without a word."""
    connection = transport.get_extra_info("socket")
    if connection is not None and connection.family != socket.AF_UNIX:
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
        for option, value in _KEEP_ALIVE:
            connection.setsockopt(socket.IPPROTO_TCP, option, value)
