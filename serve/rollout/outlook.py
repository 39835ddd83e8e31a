"""How many times as much it takes to tell, if all goes on as it did until now."""

from __future__ import annotations

from collections.abc import Callable

_TIMES_MOST = 2.0**14
"""What takes longer than that is not worth waiting for."""


def times_as_much(told: Callable[[float], bool]) -> float | None:
    """The least factor, to a thousandth of it, at which `told` says that so much more would tell.

    `told` is false at 1, and once it is true it stays so. None if it takes too long, or never ends.
    """
    few, many = 1.0, 2.0
    while not told(many):
        few, many = many, 2 * many
        if many > _TIMES_MOST:
            return None
    for _ in range(10):
        middle = (few + many) / 2
        few, many = (few, middle) if told(middle) else (middle, many)
    return many
