"""Ending what descends from this process, by process id and nothing else."""

from __future__ import annotations

import ctypes
import os
import signal
import time
from collections import defaultdict
from pathlib import Path

_PR_SET_CHILD_SUBREAPER = 36


def adopt_orphans() -> None:
    """Become the parent of every descendant whose own parent ends (prctl(2), subreaper)."""
    ctypes.CDLL(None).prctl(_PR_SET_CHILD_SUBREAPER, 1)


def descendants(root: int) -> list[int]:
    """Give the ids of all processes that descend from `root`."""
    children: defaultdict[int, list[int]] = defaultdict(list)
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            parent = _parent(entry)
            if parent is not None:
                children[parent].append(int(entry.name))
    found: list[int] = []
    todo = [root]
    while todo:
        below = children[todo.pop()]
        found += below
        todo += below
    return found


def end_descendants(timeout_s: float) -> list[int]:
    """Kill and reap whatever descends from this process; give what is left after `timeout_s`."""
    deadline = time.monotonic() + timeout_s
    while True:
        left = descendants(os.getpid())
        if not left or time.monotonic() > deadline:
            return left
        for process in left:
            _kill(process)
        _reap()
        time.sleep(0.01)


def _parent(entry: Path) -> int | None:
    try:
        stat = (entry / "stat").read_text()
    except OSError:
        return None  # It ended while we were looking.
    return int(stat.rpartition(")")[2].split()[1])


def _kill(process: int) -> None:
    try:
        os.kill(process, signal.SIGKILL)
    except ProcessLookupError:
        return


def _reap() -> None:
    try:
        while os.waitpid(-1, os.WNOHANG)[0]:
            continue
    except ChildProcessError:
        return
