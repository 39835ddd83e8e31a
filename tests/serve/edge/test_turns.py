"""Requests that were sent ahead begin when it is their turn, and only then."""

from __future__ import annotations

import asyncio

import pytest
import uvicorn
from uvicorn.server import ServerState

from configs.settings import Limits
from serve.edge.connection import Connection
from serve.edge.connections import Connections
from tests.serve.edge.listening import Application, Echo
from tests.serve.edge.test_one_write import Written

WAIT = b"GET /wait HTTP/1.1\r\nHost: x\r\n\r\n"
NEXT = b"GET /echo HTTP/1.1\r\nHost: x\r\n\r\n"


class Silent(Written):
    """A transport whose other side is nobody."""

    def pause_reading(self) -> None:
        """Nothing comes anyway."""

    def resume_reading(self) -> None:
        """Nothing comes anyway."""


class Asked:
    """A connection on which a request waits for its answer, and another one is behind it."""

    def __init__(self) -> None:
        limits = Limits()
        self.application = Application()
        self.desk = Echo(self.application, limits)
        config = uvicorn.Config(self.application, ws="none", interface="asgi3", log_config=None)
        keeper = Connections(limits, 1.0, lambda _reason: None)
        self.connection = Connection(
            keeper, self.desk, config=config, server_state=ServerState(), app_state={}
        )
        self.connection.connection_made(Silent())
        self.connection.data_received(WAIT + NEXT)


@pytest.mark.parametrize("leaves", [False, True], ids=["stays", "leaves"])
async def test_who_leaves_before_his_turn_is_not_served(leaves: bool) -> None:
    """The desk hears nothing of a request whose client left just before it was to begin."""
    asked = Asked()
    before = [*asked.application.seen]

    asked.desk.go()
    if leaves:
        asked.connection.connection_lost(None)
    await asyncio.sleep(0)  # What was to be called soon has been called.

    assert before == [("GET", "/wait")]
    assert asked.application.seen[1:] == ([] if leaves else [("GET", "/echo")])
    assert asked.desk.left == 0
