"""Waiting for something to become true, with an end."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable

PATIENCE_S = 20.0
"""Far longer than anything takes: a machine may stand still for seconds under other work."""


async def until(true: Callable[[], bool], what: str, patience_s: float = PATIENCE_S) -> None:
    """Let the loop turn until a condition holds; fails when it never does."""
    deadline = time.monotonic() + patience_s
    while not true():
        assert time.monotonic() < deadline, f"never happened: {what}"
        await asyncio.sleep(0.002)


def wait_until(true: Callable[[], bool], what: str, patience_s: float = PATIENCE_S) -> None:
    """Poll from a thread of its own until a condition holds; fails when it never does."""
    deadline = time.monotonic() + patience_s
    while not true():
        assert time.monotonic() < deadline, f"never happened: {what}"
        time.sleep(0.005)
