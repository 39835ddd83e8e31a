"""uvicorn on sockets that are lent, and a drain that loses no request."""

from __future__ import annotations

import asyncio
import socket
import ssl
from collections.abc import Callable
from functools import partial
from typing import Any, cast

import uvicorn

from configs.settings import Limits
from serve.edge.connection import Connection
from serve.edge.connections import Connections
from serve.edge.cycle import Desk
from serve.node.sockets import BACKLOG

_KEEP_ALIVE_S = 75
_CHECK_S = 0.02


class Listener:
    """Serves an ASGI application on listening sockets that somebody else holds, maybe by TLS.

    Which sockets may change while it serves: whoever lends them has numbered them in slots.
    What the `desk` takes does not come to the application. `on_closed` is told why a connection
    was broken off, in the words of `Connections`.
    """

    def __init__(
        self,
        application: Callable[..., Any],
        limits: Limits,
        on_closed: Callable[[str], None] = lambda _reason: None,
        tls: ssl.SSLContext | None = None,
        desk: Desk | None = None,
    ) -> None:
        self._connections = Connections(limits, _KEEP_ALIVE_S, on_closed)
        config = uvicorn.Config(
            application,
            http=cast("type[asyncio.Protocol]", partial(Connection, self._connections, desk)),
            ws="none",
            lifespan="off",
            interface="asgi3",
            access_log=False,
            log_config=None,
            server_header=False,
            proxy_headers=False,
        )
        if tls is not None:
            config.load()
            config.ssl = tls
        self._server = _Server(config, limits.slow_s if tls is not None else None)
        self._task: asyncio.Task[None] | None = None

    @property
    def connections(self) -> int:
        """How many connections are open."""
        return len(self._connections)

    async def open(self, *lent: socket.socket) -> None:
        """Begin to serve, and to accept on the sockets."""
        self._task = asyncio.get_running_loop().create_task(self._server.serve(sockets=[]))
        while not self._server.started:
            if self._task.done():
                self._task.result()
            await asyncio.sleep(0.001)
        self._connections.watch()
        for slot, sock in enumerate(lent):
            await self.accept(slot, sock)

    async def accept(self, slot: int, lent: socket.socket) -> None:
        """Accept on one more socket, which is closed when its slot is left."""
        await self._server.accept(slot, lent)

    def leave(self, slot: int) -> None:
        """Accept on a slot no more; whoever holds its socket has others accept what waits there."""
        self._server.leave(slot)

    async def drain(self, idle_s: float, busy_s: float, busy: Callable[[], bool]) -> None:
        """Stop to accept, wait for the connections to end, close those that are left.

        Whoever holds the socket keeps accepting for the next listener. Answers must carry
        `Connection: close` from now on, so that clients leave by themselves: closing a
        connection that seems idle could cut off a request that is on its way. Connections get
        `idle_s` for that, and up to `busy_s` while `busy` says that requests are being answered.
        """
        self._server.leave_all()
        clock = asyncio.get_running_loop().time
        began = clock()
        await asyncio.sleep(_CHECK_S)  # What was accepted a moment ago becomes a connection.
        while self.connections and clock() - began < (busy_s if busy() else idle_s):  # noqa: ASYNC110
            await asyncio.sleep(_CHECK_S)
        self._connections.close()
        self._server.should_exit = True
        if self._task is not None:
            await self._task


class _Server(uvicorn.Server):
    """uvicorn's server on lent sockets, which also breaks off TLS handshakes that do not end.

    uvicorn would give a client a minute for one, before there is a connection to be counted.
    """

    def __init__(self, config: uvicorn.Config, handshake_s: float | None) -> None:
        super().__init__(config)
        self._handshake_s = handshake_s
        self._slots: dict[int, asyncio.Server] = {}

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Be ready to accept; sockets come and go while it serves."""
        del sockets
        self.servers = []
        self.started = True

    async def accept(self, slot: int, lent: socket.socket) -> None:
        """Accept on a socket."""
        self._slots[slot] = await asyncio.get_running_loop().create_server(
            self._connection,
            sock=lent,
            backlog=BACKLOG,
            ssl=self.config.ssl,
            ssl_handshake_timeout=self._handshake_s,
        )

    def leave(self, slot: int) -> None:
        """Accept on a socket no more."""
        self._slots.pop(slot).close()

    def leave_all(self) -> None:
        """Accept no more."""
        for slot in [*self._slots]:
            self.leave(slot)

    def _connection(self) -> asyncio.Protocol:
        protocol: Any = self.config.http_protocol_class
        made: asyncio.Protocol = protocol(
            config=self.config, server_state=self.server_state, app_state={}
        )
        return made
