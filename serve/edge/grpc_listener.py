"""The gRPC port of a gateway replica: the inference service, health and reflection."""

from __future__ import annotations

import asyncio
import socket
import ssl
from collections.abc import Callable

from configs.settings import Limits
from serve.edge.bodies import Bodies
from serve.edge.grpc_connection import GrpcConnection
from serve.edge.grpc_connections import GrpcConnections
from serve.edge.grpc_services import Services
from serve.edge.reception import Reception
from serve.node.sockets import BACKLOG

_CHECK_S = 0.02


class GrpcListener:
    """Serves gRPC on listening sockets that somebody else holds, maybe by TLS.

    Which sockets may change while it serves: whoever lends them has numbered them in slots.
    `on_closed` is told why a connection was broken off, in the words of `GrpcConnections`.
    """

    def __init__(
        self,
        reception: Reception,
        limits: Limits,
        bodies: Bodies,
        on_closed: Callable[[str], None] = lambda _reason: None,
        tls: ssl.SSLContext | None = None,
    ) -> None:
        self._loop = asyncio.get_running_loop()
        self._connections = GrpcConnections(limits, on_closed)
        self._bodies = bodies
        self._services = Services(reception)
        self._tls = tls
        self._tls_s = limits.slow_s if tls is not None else None
        self._slots: dict[int, asyncio.Server] = {}

    @property
    def connections(self) -> int:
        """How many connections are open."""
        return len(self._connections)

    async def open(self, *lent: socket.socket) -> None:
        """Begin to serve, and to accept on the sockets."""
        self._connections.watch()
        for slot, sock in enumerate(lent):
            await self.accept(slot, sock)

    async def accept(self, slot: int, lent: socket.socket) -> None:
        """Accept on one more socket, which is closed when its slot is left."""
        self._slots[slot] = await self._loop.create_server(
            self._connection,
            sock=lent,
            backlog=BACKLOG,
            ssl=self._tls,
            ssl_handshake_timeout=self._tls_s,
            ssl_shutdown_timeout=self._tls_s,
        )

    def leave(self, slot: int) -> None:
        """Accept on a slot no more; whoever holds its socket has others accept what waits there."""
        self._slots.pop(slot).close()

    async def drain(self, busy_s: float) -> None:
        """Stop to accept, tell the clients to go elsewhere, and give open calls `busy_s`."""
        for slot in [*self._slots]:
            self.leave(slot)
        clock = self._loop.time
        began = clock()
        await asyncio.sleep(_CHECK_S)  # What was accepted a moment ago becomes a connection.
        while clock() - began < busy_s:
            self._connections.leave()
            if not self.connections:
                break
            await asyncio.sleep(_CHECK_S)
        self._connections.close()

    def _connection(self) -> GrpcConnection:
        return GrpcConnection(self._connections, self._services.desk, self._bodies, self._loop)
