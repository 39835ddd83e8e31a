"""How many rows came when: by the second for a while, then by the minute."""

from __future__ import annotations

_MINUTE = 60


class Arrivals:
    """Rows counted by the second in which they came; those of other replicas are added exactly."""

    def __init__(self, by_the_second_s: int, forgotten_s: int) -> None:
        self._fine_s = by_the_second_s
        self._forgotten_s = forgotten_s
        self._rows: dict[int, int] = {}

    def add(self, moment: int, rows: int) -> None:
        """Count rows of a second since 1970."""
        self._rows[moment] = self._rows.get(moment, 0) + rows

    def merge(self, other: Arrivals) -> None:
        """Add what another one has counted."""
        for moment, rows in other._rows.items():
            self.add(moment, rows)

    def forget(self, now: int) -> None:
        """Let go of what is old, and of the seconds of what is no longer new."""
        held, self._rows = self._rows, {}
        for moment, rows in held.items():
            if now - moment < self._forgotten_s:
                fine = now - moment < self._fine_s
                self.add(moment if fine else moment - moment % _MINUTE, rows)

    def began(self, rows: int) -> int | None:
        """The moment since which about so many rows came; the first one if fewer did."""
        found = None
        for moment in sorted(self._rows, reverse=True):
            # What comes at one moment is taken whole or not at all, whichever is nearer.
            if found is not None and rows < self._rows[moment] / 2:
                break
            found = moment
            rows -= self._rows[moment]
        return found
