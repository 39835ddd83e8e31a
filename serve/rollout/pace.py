"""How much comes in a second, over the last minutes; no clock of its own."""

from __future__ import annotations

from collections import deque
from typing import NamedTuple

from serve.rollout.account import Rates

_WINDOW_S = 300.0
_LEAST_S = 2.0


class _At(NamedTuple):
    seconds: float
    units: int
    pairs: int
    labelled: int
    labelled_pairs: int


class Pace:
    """Remembers how many units met the candidate, got labels, or had answers compared, and when."""

    def __init__(self) -> None:
        self._seen: deque[_At] = deque()

    def note(
        self, seconds: float, units: int, pairs: int, labelled: int = 0, labelled_pairs: int = 0
    ) -> None:
        """Note how many there are at a moment by a clock that never goes back."""
        self._seen.append(_At(seconds, units, pairs, labelled, labelled_pairs))
        while len(self._seen) > 2 and seconds - self._seen[1].seconds >= _WINDOW_S:
            self._seen.popleft()

    def rates(self) -> Rates:
        """How many came in a second; nothing while none did, or while it is too early to say."""
        if not self._seen:
            return Rates()
        first, last = self._seen[0], self._seen[-1]
        passed = last.seconds - first.seconds
        if passed < _LEAST_S:
            return Rates()
        counted = zip(last[1:], first[1:], strict=True)
        return Rates(*((now - then) / passed if now != then else None for now, then in counted))
