"""What answers requests goes before what watches and what computes."""

from __future__ import annotations

import ctypes
import os
import platform
import subprocess
import sys

import pytest

from serve.node.loop_thread import LoopThread

_SAY = """
import os
from serve.node.priority import after_requests
before = os.nice(0)
after_requests()
print(os.nice(0) - before)
"""


def test_what_watches_is_nice() -> None:
    """A process that only watches gets less than one that answers, where both want to run."""
    done = subprocess.run([sys.executable, "-c", _SAY], capture_output=True, text=True, check=True)

    assert int(done.stdout) > 0


def test_a_thread_that_computes_does_not_hold_up_the_loop_for_long() -> None:
    """Where a loop runs in a thread, others give way after half a millisecond."""
    before = sys.getswitchinterval()
    thread = LoopThread("test")
    try:
        assert sys.getswitchinterval() <= 0.0005
    finally:
        thread.stop(5.0)
        sys.setswitchinterval(before)


@pytest.mark.skipif(
    platform.machine() != "x86_64" or tuple(map(int, platform.release().split(".")[:2])) < (6, 12),
    reason="Linux cannot be asked for short slices, or has another number for the question",
)
def test_a_loop_gets_its_processor_at_once() -> None:
    """It asks for slices of a tenth of a millisecond, and keeps its niceness."""
    thread = LoopThread("test")
    try:
        nice, slice_ns = thread.submit(_scheduled()).result(5.0)
    finally:
        thread.stop(5.0)
    assert (nice, slice_ns) == (os.getpriority(os.PRIO_PROCESS, 0), 100_000)


_BATCH = """
import os
from serve.node.priority import at_once
os.sched_setscheduler(0, os.SCHED_BATCH, os.sched_param(0))
at_once()
print(os.sched_getscheduler(0) == os.SCHED_BATCH)
"""


def test_a_policy_that_somebody_chose_stays() -> None:
    """Who starts a gateway under a policy of his own, real time or batch, keeps it."""
    done = subprocess.run(
        [sys.executable, "-c", _BATCH], capture_output=True, text=True, check=True
    )

    assert done.stdout.strip() == "True"


async def _scheduled() -> tuple[int, int]:
    """The niceness of this thread and its slice in nanoseconds (sched_getattr(2))."""
    told = ctypes.create_string_buffer(48)
    assert ctypes.CDLL(None).syscall(315, 0, told, len(told), 0) == 0
    return int.from_bytes(told.raw[16:20], "little", signed=True), int.from_bytes(
        told.raw[24:32], "little"
    )
