"""How often a key may be used: a token bucket."""

from __future__ import annotations

_BURST_S = 0.5
"""How many seconds' worth may come at once.

No 10 s then see more than the rate and 5 %.
"""


class TokenBucket:
    """Lets through `rate_per_s` requests a second, above zero, and a short burst after a pause.

    Times are seconds of any clock. One that is set back costs nothing but a moment's refill.
    """

    __slots__ = ("_at_s", "_burst", "_tokens", "rate_per_s")

    def __init__(self, rate_per_s: float) -> None:
        self.rate_per_s = rate_per_s
        self._burst = max(1.0, rate_per_s * _BURST_S)
        self._tokens = self._burst
        self._at_s = 0.0

    def take(self, now_s: float) -> float | None:
        """Take one token; None if there was one, else the seconds until there is."""
        refill = max(0.0, now_s - self._at_s) * self.rate_per_s
        self._tokens = min(self._burst, self._tokens + refill)
        self._at_s = now_s
        if self._tokens < 1.0:
            return (1.0 - self._tokens) / self.rate_per_s
        self._tokens -= 1.0
        return None
