"""How long a gateway replica may go on with a route that is judged, without a word from its judge.

A canary without a judge does not exist: a replica that cannot tell what it counts, or can count
nothing as the arms are not all reached, serves the stable version alone, until it can again.
"""

from __future__ import annotations

LEASE_S = 60.0


class Lease:
    """Holds for `LEASE_S` since it was renewed last; readings of one clock are arguments."""

    def __init__(self, now: float) -> None:
        self._renewed_at = now

    def renew(self, now: float) -> None:
        """Note that there was a judge at this moment, or something to be judged."""
        self._renewed_at = max(self._renewed_at, now)

    def over(self, now: float) -> bool:
        """Whether it holds no more."""
        return now - self._renewed_at > LEASE_S
