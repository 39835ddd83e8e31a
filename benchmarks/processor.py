"""The processor time that a server has used, all of its processes counted."""

from __future__ import annotations

import os
from collections import Counter
from contextlib import suppress
from pathlib import Path

from benchmarks.processes import family

_TICKS_A_SECOND = os.sysconf("SC_CLK_TCK")


def used_s(pid: int) -> Counter[str]:
    """Seconds of a process and all that descends from it so far, by the name of the process.

    A process that has ended is counted with whoever waited for it (proc(5): cutime and cstime), so
    the sum never falls. The harness makes every server a subreaper: what a server turns into a
    daemon stays its descendant.
    """
    used: Counter[str] = Counter()
    for member in family(pid):
        with suppress(FileNotFoundError, ProcessLookupError):
            text = Path(f"/proc/{member.pid}/stat").read_text(encoding="utf-8", errors="replace")
            ticks = sum(int(one) for one in text[text.rindex(")") + 2 :].split()[11:15])
            used[_name(member.command())] += ticks / _TICKS_A_SECOND  # type: ignore[assignment]
    return used


def _name(command: str) -> str:
    """Ray's own title of a process, else its program with a telling argument."""
    words = command.split()
    if not words or command.startswith("ray::"):
        return command
    return " ".join(Path(word).name for word in words[:3] if not word.startswith("-"))
