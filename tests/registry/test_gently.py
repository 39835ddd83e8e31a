"""Work that can wait is done at the low priority, and whoever asked keeps his own."""

from __future__ import annotations

import os
import threading

import pytest

from registry.gently import NICE, gently


def _priority() -> int:
    return os.getpriority(os.PRIO_PROCESS, threading.get_native_id())


def test_only_the_work_has_the_lowest_priority() -> None:
    """The thread that waits is as it was."""
    before = _priority()

    assert gently(_priority) == NICE
    assert _priority() == before


def test_what_the_work_raises_is_raised() -> None:
    """An error reaches who asked."""
    with pytest.raises(ZeroDivisionError):
        gently(lambda: 1 // 0)
