"""Whatever descends from a process can be found and ended, by process id alone."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

from serve.node.descendants import descendants
from tests.serve.waiting import wait_until

_SLEEP = "import time; time.sleep(60)"
_TREE = f"""
import subprocess, sys
child = subprocess.Popen([sys.executable, "-c", {_SLEEP!r}])
print(child.pid, flush=True)
import time; time.sleep(60)
"""
_ORPHANS = f"""
import json, os, subprocess, sys, time
from serve.node.descendants import adopt_orphans, descendants, end_descendants

adopt_orphans()
parent = subprocess.Popen([sys.executable, "-c", {_TREE!r}], stdout=subprocess.PIPE, text=True)
stubborn = subprocess.Popen(
    [sys.executable, "-c", "import signal; signal.signal(signal.SIGTERM, signal.SIG_IGN);"
     "print(1, flush=True);" {_SLEEP!r}], stdout=subprocess.PIPE, start_new_session=True)
stubborn.stdout.readline()
grandchild = int(parent.stdout.readline())
parent.kill()
parent.wait()
deadline = time.monotonic() + 10
while grandchild not in descendants(os.getpid()) and time.monotonic() < deadline:
    time.sleep(0.01)
found = descendants(os.getpid())
left = end_descendants(10.0)
print(json.dumps({{
    "grandchild": grandchild, "stubborn": stubborn.pid, "found": found, "left": left}}))
"""


def alive(process: int) -> bool:
    """Whether a process runs; a zombie does not."""
    try:
        stat = Path(f"/proc/{process}/stat").read_text()
    except OSError:
        return False
    return stat.rpartition(")")[2].split()[0] != "Z"


def test_a_tree_is_found_from_its_root() -> None:
    """Children and grandchildren are found; other processes are not."""
    with subprocess.Popen(
        [sys.executable, "-c", _TREE], stdout=subprocess.PIPE, text=True
    ) as parent:
        assert parent.stdout is not None
        child = int(parent.stdout.readline())
        try:
            assert descendants(parent.pid) == [child]
            assert {parent.pid, child} <= set(descendants(os.getpid()))
            assert os.getpid() not in descendants(parent.pid)
        finally:
            os.kill(child, signal.SIGKILL)
            parent.kill()


def test_a_process_without_children() -> None:
    """A process that does not exist has no descendants."""
    assert descendants(2**22 + 1) == []


def test_orphans_are_adopted_and_ended() -> None:
    """A grandchild whose parent died, and a child that ignores SIGTERM, are both ended."""
    done = subprocess.run(
        [sys.executable, "-c", _ORPHANS], capture_output=True, text=True, check=True, timeout=60
    )
    told = json.loads(done.stdout)

    assert {told["grandchild"], told["stubborn"]} <= set(told["found"])
    assert told["left"] == []
    for process in told["found"]:
        wait_until(lambda process=process: not alive(process), "it has ended")  # type: ignore[misc]


def test_nobody_else_is_ended() -> None:
    """A process that does not descend from the one that ends its own is left alone."""
    with subprocess.Popen([sys.executable, "-c", _SLEEP]) as stranger:
        program = "from serve.node.descendants import end_descendants; print(end_descendants(1.0))"
        subprocess.run([sys.executable, "-c", program], check=True, timeout=30)
        try:
            assert alive(stranger.pid)
        finally:
            stranger.kill()
