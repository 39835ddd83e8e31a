"""Work that must not be felt by those who serve: done when nobody else wants the processor."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

T = TypeVar("T")

NICE = 10
"""A tenth of the share that others have: little beside them, and yet some where all is busy."""


def gently(work: Callable[[], T]) -> T:
    """Do the work in a thread of low priority, and wait for it.

    The thread ends with the work, since a process without privileges cannot raise a priority
    again. Linux has a priority for each thread (setpriority(2), "C library/kernel differences").
    """
    with ThreadPoolExecutor(1, "weir-gently", initializer=_lower) as pool:
        return pool.submit(work).result()


def _lower() -> None:
    os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), NICE)
