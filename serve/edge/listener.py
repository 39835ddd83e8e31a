"""uvicorn on a socket that is lent, and a drain that loses no request."""

from __future__ import annotations

import asyncio
import socket
import ssl
from collections.abc import Callable
from typing import Any

import uvicorn

from serve.edge.one_write import OneWriteProtocol

_KEEP_ALIVE_S = 75
_CHECK_S = 0.02


class Listener:
    """Serves an ASGI application on a listening socket that somebody else holds, maybe by TLS."""

    def __init__(
        self,
        application: Callable[..., Any],
        sock: socket.socket,
        tls: ssl.SSLContext | None = None,
    ) -> None:
        config = uvicorn.Config(
            application,
            http=OneWriteProtocol,
            ws="none",
            lifespan="off",
            interface="asgi3",
            access_log=False,
            log_config=None,
            server_header=False,
            proxy_headers=False,
            timeout_keep_alive=_KEEP_ALIVE_S,
        )
        if tls is not None:
            config.load()
            config.ssl = tls
        self._server = uvicorn.Server(config)
        self._socket = sock
        self._task: asyncio.Task[None] | None = None

    async def open(self) -> None:
        """Begin to accept."""
        self._task = asyncio.get_running_loop().create_task(
            self._server.serve(sockets=[self._socket])
        )
        while not self._server.started:
            if self._task.done():
                self._task.result()
            await asyncio.sleep(0.001)

    async def drain(self, idle_s: float, busy_s: float, busy: Callable[[], bool]) -> None:
        """Stop to accept, wait for the connections to end, close those that are left.

        Whoever holds the socket keeps accepting for the next listener. Answers must carry
        `Connection: close` from now on, so that clients leave by themselves: closing a
        connection that seems idle could cut off a request that is on its way. Connections get
        `idle_s` for that, and up to `busy_s` while `busy` says that requests are being answered.
        """
        for server in self._server.servers:
            server.close()
        clock = asyncio.get_running_loop().time
        began = clock()
        connections = self._server.server_state.connections
        await asyncio.sleep(_CHECK_S)  # What was accepted a moment ago becomes a connection.
        while connections and clock() - began < (busy_s if busy() else idle_s):  # noqa: ASYNC110
            await asyncio.sleep(_CHECK_S)
        for connection in [*connections]:
            connection.transport.abort()
        self._server.should_exit = True
        if self._task is not None:
            await self._task
