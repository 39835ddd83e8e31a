"""Exact counts of past minutes, hours and days, which merge into any longer time bit for bit."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray

Counts = NDArray[np.int64]

HOUR = 60
DAY = 24 * HOUR
_KEPT = ((1, 60), (HOUR, 48), (DAY, 30))
"""Lengths of windows in minutes, and how many of each are kept."""

MEMORY_MAX_BYTES = 8 * 2**20
"""What the windows of one set of streams may take; the oldest go first, and never a stream."""


@runtime_checkable
class Forgets(Protocol):
    """**Protocol:** a detector that keeps something by its time, and drops it when told."""

    def forget(self, minute: int) -> bool:
        """Drop what is of before a minute since 1970; says whether there was any."""


class Windows:
    """The rows of each minute counted, and sums of them by the hour and by the day.

    `shape` is that of the counts. A window is told by the minute since 1970 in which it begins.
    Windows of other replicas are added one by one, so that all of them together hold what one
    would hold that had seen all rows.
    """

    def __init__(self, shape: tuple[int, ...]) -> None:
        self._shape = shape
        self._windows: dict[int, dict[int, Counts]] = {length: {} for length, _ in _KEPT}
        of_one = max(1, int(np.prod(shape)) * 8)
        affordable = MEMORY_MAX_BYTES // of_one
        wanted = sum(count for _, count in _KEPT)
        self._kept = {
            length: max(1, min(count, affordable * count // wanted)) for length, count in _KEPT
        }

    def add(self, minute: int, counts: Counts) -> None:
        """Count rows of a minute."""
        for length, windows in self._windows.items():
            begin = minute - minute % length
            held = windows.get(begin)
            windows[begin] = counts.copy() if held is None else held + counts
            while len(windows) > self._kept[length]:
                del windows[min(windows)]

    def last(self, minutes: int, now: int) -> Counts:
        """The rows of the last `minutes` before the end of minute `now`, as the windows allow.

        The longest windows that fit are used, so that the beginning may be early by less than one
        of them.
        """
        length = max((each for each in self._windows if each <= max(minutes // 2, 1)), default=1)
        begin = now + 1 - minutes
        begin -= begin % length
        total = np.zeros(self._shape, dtype=np.int64)
        for at, counts in self._windows[length].items():
            if begin <= at <= now:
                total += counts
        return total

    def merge(self, other: Windows) -> None:
        """Add all that another replica has counted."""
        if other._shape != self._shape:
            message = f"windows of shape {self._shape} cannot take in those of {other._shape}"
            raise ValueError(message)
        for length, windows in other._windows.items():
            mine = self._windows[length]
            for begin, counts in windows.items():
                held = mine.get(begin)
                mine[begin] = counts.copy() if held is None else held + counts
            while len(mine) > self._kept[length]:
                del mine[min(mine)]

    def forget(self, minute: int) -> bool:
        """Drop the windows that ended before a minute; says whether there were any."""
        old = [
            (windows, begin)
            for length, windows in self._windows.items()
            for begin in windows
            if begin + length <= minute
        ]
        for windows, begin in old:
            del windows[begin]
        return bool(old)

    def state(self) -> dict[str, NDArray[Any]]:
        """All windows: their lengths, beginnings and counts, in that order."""
        held = [
            (length, begin, counts)
            for length, windows in self._windows.items()
            for begin, counts in sorted(windows.items())
        ]
        return {
            "windows": np.array(
                [(length, begin) for length, begin, _ in held], dtype=np.int64
            ).reshape(len(held), 2),
            "window_counts": np.array([counts for _, _, counts in held], dtype=np.int64).reshape(
                len(held), *self._shape
            ),
        }

    def restore(self, state: Mapping[str, NDArray[Any]]) -> None:
        """Hold what a state holds; `ValueError` where its counts are not of this shape."""
        if state["window_counts"].shape[1:] != self._shape:
            message = f"windows of shape {self._shape}, not {state['window_counts'].shape[1:]}"
            raise ValueError(message)
        for (length, begin), counts in zip(
            state["windows"].tolist(), state["window_counts"], strict=True
        ):
            self._windows[length][begin] = counts.astype(np.int64)
