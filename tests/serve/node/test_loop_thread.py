"""A loop in a thread of its own runs what it is given and hands back what comes out."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator

import pytest
import uvloop

from serve.node.loop_thread import LoopThread


@pytest.fixture
def thread() -> Iterator[LoopThread]:
    """A loop that runs while the test does."""
    running = LoopThread("a-test")
    yield running
    running.stop(5.0)


async def where() -> tuple[str, bool]:
    """The thread's name, and whether its loop is uvloop's."""
    return threading.current_thread().name, isinstance(asyncio.get_running_loop(), uvloop.Loop)


def test_work_runs_on_its_own_loop(thread: LoopThread) -> None:
    """From a plain thread the answer comes as a future."""
    assert thread.submit(where()).result(5.0) == ("a-test", True)


async def test_work_is_awaited_from_another_loop(thread: LoopThread) -> None:
    """A coroutine of another loop waits without blocking it."""
    assert await thread.run(where()) == ("a-test", True)


def test_errors_come_back(thread: LoopThread) -> None:
    """What the work raises is raised where it is waited for."""

    async def fail() -> None:
        raise LookupError("here")

    with pytest.raises(LookupError, match="here"):
        thread.submit(fail()).result(5.0)


def test_stop_ends_the_thread() -> None:
    """After `stop` the thread is gone."""
    running = LoopThread("short-lived")
    running.stop(5.0)

    assert "short-lived" not in {thread.name for thread in threading.enumerate()}
