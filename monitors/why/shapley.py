"""Shapley values: parts of a total that add up to it, whatever the parts do to one another."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from math import factorial

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Value = Callable[[frozenset[int]], Floats]


def shapley(players: int, value: Value, runs_max: int) -> tuple[Floats, int]:
    """Each player's part of value(all) - value(nobody), shape (players, ...), and runs of `value`.

    Exact (Shapley 1953) where all coalitions can be asked for in so many runs. Else the mean over
    orders of the players, each taken both ways round (Mitchell et al. 2022, "Sampling permutations
    for Shapley value estimation"): the parts still add up exactly. Orders are the same at every
    call. `runs_max` is more than the number of players.
    """
    known: dict[frozenset[int], Floats] = {}

    def asked(coalition: frozenset[int]) -> Floats:
        if coalition not in known:
            known[coalition] = value(coalition)
        return known[coalition]

    exact = 2**players <= runs_max
    parts = _exact(players, asked) if exact else _sampled(players, asked, known, runs_max)
    return parts, len(known)


def _exact(players: int, value: Value) -> Floats:
    parts = []
    for player in range(players):
        others = [each for each in range(players) if each != player]
        part: Floats = np.zeros(1)
        for chosen in range(2 ** len(others)):
            coalition = frozenset(o for bit, o in enumerate(others) if chosen >> bit & 1)
            size = len(coalition)
            weight = factorial(size) * factorial(players - size - 1) / factorial(players)
            part = part + weight * (value(coalition | {player}) - value(coalition))
        parts.append(part)
    return np.stack(parts)


def _sampled(
    players: int, value: Value, known: dict[frozenset[int], Floats], runs_max: int
) -> Floats:
    draws = np.random.default_rng(0)
    sums: list[Floats | float] = [0.0] * players
    orders = 0
    while True:
        order = draws.permutation(players).tolist()
        for each in (order, order[::-1]):
            coalitions = _growing(each)
            new = sum(coalition not in known for coalition in coalitions)
            if orders and len(known) + new > runs_max:
                return np.stack([np.asarray(each) / orders for each in sums])
            values = [value(coalition) for coalition in coalitions]
            for place, player in enumerate(each):
                sums[player] = sums[player] + (values[place + 1] - values[place])
            orders += 1


def _growing(order: Sequence[int]) -> list[frozenset[int]]:
    """Nobody, the first, the first two, ... of an order."""
    return [frozenset(order[:count]) for count in range(len(order) + 1)]
