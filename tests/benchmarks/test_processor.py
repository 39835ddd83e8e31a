"""Processor time counts everything that a server starts."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from benchmarks import processor
from benchmarks.processes import Process, end, start, wait_until
from benchmarks.processor import Used

WORK = "sum(range(20_000_000))"
# A child that leaves its parent's session, as a daemon does, and outlives the one between.
DAEMON = f"""
import subprocess, sys, time
middle = "import subprocess, sys; subprocess.Popen([sys.executable, '-c', sys.argv[1]], "
middle += "start_new_session=True)"
subprocess.run([sys.executable, "-c", middle, "while True: {WORK}"], check=True)
time.sleep(600)
"""


def test_a_daemon_is_counted(tmp_path: Path) -> None:
    """What a server has turned into a daemon stays its descendant."""
    server = start([sys.executable, "-c", DAEMON], tmp_path / "log")
    daemons: list[Process] = []
    try:
        before = processor.used(server.pid)

        def worked() -> bool:
            nonlocal daemons
            now = processor.used(server.pid)
            daemons = [one for one in now if one.pid != server.pid]
            # The one between must have gone; what it takes to start is work too, but far less.
            if len(daemons) != 1:
                return False
            counted = sum(processor.between(before, now).values())
            return counted >= now[daemons[0]].seconds > 1.0

        wait_until("1 s of work", worked, 120.0)
    finally:
        server.kill()
        server.wait()
        for one in daemons:
            subprocess.run(["kill", "-9", str(one.pid)], check=False)
    assert len(daemons) == 1


def test_a_process_that_was_renamed_is_counted_once() -> None:
    """Ray gives its processes their names when they are already running."""
    process = Process(1, 1)
    before = {process: Used(5.0, "ray::IDLE")}
    after = {process: Used(5.5, "ray::ServeReplica")}
    assert processor.between(before, after) == {"ray::ServeReplica": 0.5}


def test_a_process_that_ended_is_counted_once() -> None:
    """Its parent has all of its time by then, of which part was counted before."""
    parent, child = Process(1, 1), Process(2, 2)
    before = {parent: Used(1.0, "parent"), child: Used(3.0, "child")}
    after = {parent: Used(4.5, "parent")}
    assert sum(processor.between(before, after).values()) == 0.5


def test_the_end_of_a_server_is_the_end_of_its_family(tmp_path: Path) -> None:
    """Nothing is left, and the harness says how long that took."""
    script = "import subprocess, sys; subprocess.run([sys.executable, '-c', 'input()'])"
    server = start([sys.executable, "-c", script], tmp_path / "log")
    assert end(server, 60.0) < 60.0
