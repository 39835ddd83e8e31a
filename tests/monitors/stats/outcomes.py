"""All outcomes of a few random steps, each with its chance, along which an e-value is stopped."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

Chances = Sequence[tuple[Any, float]]
"""What may come next, and how likely each is."""


def mean_when_stopped(
    steps: int,
    chances: Callable[[tuple[Any, ...]], Chances],
    value: Callable[[tuple[Any, ...]], float],
    stop_at: float = float("inf"),
) -> float:
    """The mean of a value over all outcomes, each read when it first reaches `stop_at`, or last.

    `chances` may depend on all that came before.
    """

    def mean(before: tuple[Any, ...]) -> float:
        now = value(before)
        if now >= stop_at or len(before) == steps:
            return now
        return sum(chance * mean((*before, each)) for each, chance in chances(before) if chance)

    return mean(())
