"""What watches goes after what answers requests."""

from __future__ import annotations

import subprocess
import sys

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
