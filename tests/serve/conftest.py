"""Every coroutine test here runs on uvloop, as the gateway does."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping

import uvloop


def pytest_asyncio_loop_factories() -> Mapping[str, Callable[[], asyncio.AbstractEventLoop]]:
    """Give the loops to run coroutine tests on."""
    return {"uvloop": uvloop.new_event_loop}
