"""How many batches may be sent a second time, so that a failure for all is not met twice by all."""

from __future__ import annotations

_SHARE = 1 / 6
"""Of all batches that ran, so that five in six are first tries: 20 % more than these."""
_AT_START = 3.0
_MOST = 10.0


class RetryBudget:
    """Grows with every batch that ran, up to ten second tries in store (after Finagle's budget)."""

    def __init__(self) -> None:
        self._left = _AT_START
        self._seen = 0

    def take(self, ran: int) -> bool:
        """Spend one second try if there is one; `ran` is how many batches ran since the start."""
        self._left = min(_MOST, self._left + _SHARE * (ran - self._seen))
        self._seen = ran
        if self._left < 1.0:
            return False
        self._left -= 1.0
        return True
