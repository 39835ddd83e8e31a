"""Replays streams for a monitor, and notes where it alarmed: what all other libraries share.

It runs in their environments, so it imports nothing but numpy and the standard library.
"""

from __future__ import annotations

import json
import resource
import sys
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from time import process_time
from typing import Any

import numpy as np

Rows = np.ndarray[Any, np.dtype[np.float32]]
Looks = Iterable[tuple[int, Collection[int]]]
"""After so many rows, alarms about these columns. The first, after none, says that it is ready."""


@dataclass(frozen=True)
class Task:
    """What a monitor is told: its settings, and which of the columns hold categories."""

    settings: Mapping[str, Any]
    categorical: Sequence[int] = field(default=())


Watch = Callable[[Task, Rows, Rows], Looks]
"""Makes a monitor from the reference, and gives what it says of the live rows, look by look."""


def main(watch: Watch) -> None:
    """Do what the folder named on the command line asks for."""
    folder = Path(sys.argv[1])
    asked = json.loads((folder / "task.json").read_text(encoding="utf-8"))
    answer = cost if asked["measure"] else replay
    answers = [
        answer(watch, Task(asked["settings"], stream["categorical"]), folder, stream)
        for stream in asked["streams"]
    ]
    (folder / "answers.json").write_text(json.dumps(answers), encoding="utf-8")


def replay(watch: Watch, task: Task, folder: Path, stream: Mapping[str, Any]) -> dict[str, Any]:
    """The rows after which a monitor first alarmed, about anything and about what changed.

    It may stop once that is known.
    """
    reference, live = _read(folder, stream)
    return noticed(watch(task, reference, live), stream["change_at"], stream["changed"])


def noticed(looks: Looks, change_at: int | None, changed: int) -> dict[str, int | None]:
    """The rows at the first alarm, and those from the change to the first about what changed."""
    first: int | None = None
    for rows, columns in looks:
        if columns and first is None:
            first = rows
        if change_at is None and first is not None:
            break
        if change_at is not None and rows > change_at and changed in columns:
            return {"first": first, "found": rows - change_at}
    return {"first": first, "found": None}


def cost(watch: Watch, task: Task, folder: Path, stream: Mapping[str, Any]) -> dict[str, float]:
    """Seconds of processor time for the live rows, and the memory of it, in MB.

    `loaded_mb` is what the process holds once it has its library and the rows, `added_mb` how much
    more it held at its most.
    """
    reference, live = _read(folder, stream)
    loaded = _resident_mb()
    looks = iter(watch(task, reference, live))
    next(looks)
    begin = process_time()
    rows = max(rows for rows, _ in looks)
    seconds = process_time() - begin
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 / 1e6
    return {
        "rows": rows,
        "seconds": seconds,
        "loaded_mb": loaded,
        "added_mb": max(0.0, peak - loaded),
    }


def _resident_mb() -> float:
    pages = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[1])
    return pages * resource.getpagesize() / 1e6


def windows(live: Rows, size: int) -> Iterator[tuple[int, Rows]]:
    """Whole windows of rows, one after the other, with the rows up to the end of each."""
    for end in range(size, len(live) + 1, size):
        yield end, live[end - size : end]


def _read(folder: Path, stream: Mapping[str, Any]) -> tuple[Rows, Rows]:
    reference = np.load(folder / stream["reference"])
    return reference, np.load(folder / stream["live"])
