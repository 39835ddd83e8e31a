"""The control API on a real socket of loopback, in a thread."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from threading import Thread

import uvicorn
from fastapi import FastAPI
from starlette.types import ASGIApp, Receive, Scope, Send

from serve.access.door import Door
from serve.control.api import create_app
from tests.control.memory import MemoryControl


@dataclass(frozen=True)
class Api:
    """A running API: where it listens, its application, and the control plane behind it."""

    url: str
    app: FastAPI
    control: MemoryControl


class Stage:
    """A running server, on which one application after the other can stand."""

    def __init__(self, url: str) -> None:
        self.url = url
        self._app: ASGIApp | None = None

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request to the application that stands here now."""
        assert self._app is not None
        await self._app(scope, receive, send)

    def new_api(self, door: Door | None = None) -> Api:
        """A fresh API with nothing registered, in place of the one before; open unless told."""
        control = MemoryControl()
        app = create_app(control, door or Door(required=False))
        self.put(app)
        return Api(self.url, app, control)

    def put(self, app: ASGIApp) -> None:
        """Let another application stand here."""
        self._app = app


@contextmanager
def running() -> Iterator[Stage]:
    """Serve whatever stands on the stage while the block runs."""
    with socket.create_server(("127.0.0.1", 0)) as listening:
        stage = Stage(f"http://127.0.0.1:{listening.getsockname()[1]}")
        config = uvicorn.Config(
            stage, interface="asgi3", log_config=None, ws="none", lifespan="off"
        )
        server = uvicorn.Server(config)
        thread = Thread(target=server.run, kwargs={"sockets": [listening]})
        thread.start()
        try:
            yield stage
        finally:
            server.should_exit = True
            thread.join()
