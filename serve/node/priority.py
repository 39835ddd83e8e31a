"""Which processes and threads go first on a busy machine."""

from __future__ import annotations

import ctypes
import os
import platform
from struct import Struct

_NICE = 5
"""About a third of the weight of a process that answers requests (sched(7))."""
_SLICE_NS = 100_000
"""The shortest that Linux takes: a tenth of a millisecond."""
_NUMBERS = {"x86_64": 314, "aarch64": 274}
"""The number of sched_setattr(2), for which the C library has no function, by kind of machine."""
_ATTRIBUTES = Struct("<IIQiIQQQ")
"""Size, policy, flags, nice, real-time priority, slice, deadline and period (sched_setattr(2))."""


def after_requests() -> None:
    """Have this process wait for those that answer requests; who is nice stays so."""
    os.nice(_NICE)


def at_once() -> None:
    """Have this thread get a processor as soon as it has something to do.

    Linux lets a thread that computes go on for milliseconds when another wakes, unless that one has
    asked for shorter slices of time. Its share of the processor stays the same. A Linux before
    6.12 or a system that forbids the call goes on as before, and so does a thread for which
    somebody has chosen another policy than the ordinary one.
    """
    number, policy = _NUMBERS.get(platform.machine()), os.sched_getscheduler(0)
    if number is None or policy != os.SCHED_OTHER:
        return
    nice = os.getpriority(os.PRIO_PROCESS, 0)
    wanted = _ATTRIBUTES.pack(_ATTRIBUTES.size, policy, 0, nice, 0, _SLICE_NS, 0, 0)
    ctypes.CDLL(None).syscall(number, 0, wanted, 0)
