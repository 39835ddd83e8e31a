"""The processor time that a server uses, all of its processes counted."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from time import monotonic, sleep

from benchmarks.processes import Process, family

_TICKS_A_SECOND = os.sysconf("SC_CLK_TCK")
_LOOK_S = 0.5
_QUIET = 0.2
_QUIET_LOOKS = 4


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
            found[member] = Used(ticks / _TICKS_A_SECOND, _name(member.pid))
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


def settle(pid: int, limit_s: float = 30.0) -> None:
    """Wait until a server has done what it does after it is ready, or for so many seconds.

    It has once all of its processes together use a fifth of a core at most for two seconds: a
    process that is started late may still wait for its turn in the first quiet moment.
    """
    last = monotonic() + limit_s
    before = used(pid)
    quiet = 0
    while quiet < _QUIET_LOOKS and monotonic() < last:
        sleep(_LOOK_S)
        now = used(pid)
        quiet = quiet + 1 if sum(between(before, now).values()) <= _QUIET * _LOOK_S else 0
        before = now


def _name(pid: int) -> str:
    """Ray's own title of a process, else its program, and the script or module that it runs."""
    line = Path(f"/proc/{pid}/cmdline").read_bytes().decode(errors="replace")
    if line.startswith("ray::"):
        return line.rstrip("\0 ")
    program, *arguments = line.split("\0")
    told = next((one for one in arguments if one and not one.startswith("-")), "")
    return f"{Path(program).name} {Path(told).name}".rstrip()
