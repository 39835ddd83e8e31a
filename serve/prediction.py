"""Ids of predictions: 128 random bits, whose last 32 serve as the prediction's draw."""

from __future__ import annotations

import os

_BYTES = 16
_AHEAD = 256


class PredictionIds:
    """Gives ids that nobody can foresee, asking the system for many at a time."""

    def __init__(self) -> None:
        self._ahead: list[tuple[str, int]] = []

    def next(self) -> tuple[str, int]:
        """Give an id of 32 hexadecimal digits and its draw, uniform below 2**32."""
        if not self._ahead:
            random = os.urandom(_BYTES * _AHEAD)
            for start in range(0, len(random), _BYTES):
                one = random[start : start + _BYTES]
                self._ahead.append((one.hex(), int.from_bytes(one[-4:])))
        return self._ahead.pop()
