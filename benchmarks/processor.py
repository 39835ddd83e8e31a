"""The processor time that a server uses, all of its processes counted."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from benchmarks.processes import Process, family

_TICKS_A_SECOND = os.sysconf("SC_CLK_TCK")


@dataclass(frozen=True, slots=True)
class Used:
    """Seconds of one process so far, and what it is called."""

    seconds: float
    name: str


def used(pid: int) -> dict[Process, Used]:
    """What a process and each that descends from it have used so far.

    A process that has ended is counted with whoever waited for it (proc(5): cutime and cstime).
    The harness makes every server a subreaper: what a server turns into a daemon stays its
    descendant.
    """
    found = {}
    for member in family(pid):
        with suppress(FileNotFoundError, ProcessLookupError):
            text = Path(f"/proc/{member.pid}/stat").read_text(encoding="utf-8", errors="replace")
            ticks = sum(int(one) for one in text[text.rindex(")") + 2 :].split()[11:15])
            found[member] = Used(ticks / _TICKS_A_SECOND, _name(member.command()))
    return found


def between(before: Mapping[Process, Used], after: Mapping[Process, Used]) -> dict[str, float]:
    """Seconds used between two readings, by the later name of the process.

    What ended in between has its past taken off here, since its parent has all of it by now.
    """
    seconds: Counter[str] = Counter()
    for process in {*before, *after}:
        then, now = before.get(process), after.get(process)
        name = now.name if now is not None else "ended"
        seconds[name] += (now.seconds if now else 0.0) - (then.seconds if then else 0.0)  # type: ignore[assignment]
    return {name: spent for name, spent in seconds.items() if spent}


def _name(command: str) -> str:
    """Ray's own title of a process, else its program with a telling argument."""
    words = command.split()
    if not words or command.startswith("ray::"):
        return command
    return " ".join(Path(word).name for word in words[:3] if not word.startswith("-"))
