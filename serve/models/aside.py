"""A model in a process beside those who serve, whose end is nobody's trouble.

It is asked by frames on its standard input and answers by frames on its standard output, one after
the other: no row is written anywhere. It has a low priority and never pushes aside one who runs; a
model that crashes, hangs or grows takes nobody with it.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import IO

from configs.errors import ModelFailed
from registry.gently import NICE
from registry.verify_child import limit
from serve.models.frames import BrokenFrame, Frame, decode, encode

_ROOT = Path(__file__).parents[2]
_LENGTH_BYTES = 4


class Aside:
    """The parent's end of a process that runs one of our modules."""

    def __init__(self, module: str, arguments: Sequence[str]) -> None:
        self._process = subprocess.Popen(  # noqa: S603 - our own module, no shell
            [sys.executable, "-P", "-s", "-B", "-m", module, *arguments],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            cwd="/",
            env=os.environ | {"PYTHONPATH": str(_ROOT)},
            process_group=0,
        )
        if self._process.stdin is None or self._process.stdout is None:
            raise ModelFailed("the process in which the model runs has no pipes")
        self._to, self._by = self._process.stdin, self._process.stdout

    def ask(self, *frames: Frame) -> Frame | None:
        """Send frames and wait for one; None where the process has ended."""
        try:
            with suppress(BrokenPipeError):  # It may have said why before it ended.
                for frame in frames:
                    write(self._to, frame)
            return read(self._by)
        except (OSError, BrokenFrame):
            return None

    def kill(self) -> None:
        """End the process, from any thread; whoever asks it gets None."""
        self._process.kill()

    def end(self) -> bool:
        """End the process and wait for it; whether it had taken longer than it was allowed."""
        self._process.kill()
        with suppress(BrokenPipeError):  # What it has not read is of no more use.
            self._to.close()
        self._by.close()
        return self._process.wait() == -signal.SIGALRM


def begin(memory: int, processor_s: int) -> None:
    """In the process: go behind all others, and take no more than this."""
    os.nice(NICE)
    os.sched_setscheduler(0, os.SCHED_BATCH, os.sched_param(0))
    limit(memory, processor_s)


def end_in(seconds: float) -> None:
    """In the process: be ended by the system after so many seconds from now, 0 for never."""
    signal.signal(signal.SIGALRM, signal.SIG_DFL)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGALRM})
    signal.setitimer(signal.ITIMER_REAL, seconds)


def write(pipe: IO[bytes], frame: Frame) -> None:
    """Write a frame."""
    for part in encode(frame):
        pipe.write(part)
    pipe.flush()


def read(pipe: IO[bytes]) -> Frame | None:
    """The next frame; None where the other end is gone."""
    head = pipe.read(_LENGTH_BYTES)
    if len(head) < _LENGTH_BYTES:
        return None
    size = int.from_bytes(head, "little")
    body = pipe.read(size)
    return decode(memoryview(body)) if len(body) == size else None
