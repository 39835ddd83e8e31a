"""Parts add up to the total, and each gets what is its own."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from monitors.why.shapley import shapley

Floats = NDArray[np.float64]
OWN = np.array([3.0, -1.0, 0.5, 2.0, 0.0, 7.0, -4.0, 1.0])


def additive(coalition: frozenset[int]) -> Floats:
    """What everybody brings, whoever else is there."""
    return np.array([OWN[sorted(coalition)].sum(), 1.0])


def gloves(coalition: frozenset[int]) -> Floats:
    """One left glove and two right ones: a pair is worth one (Shapley values 2/3, 1/6, 1/6)."""
    return np.array([float(0 in coalition and len(coalition) > 1)])


@pytest.mark.parametrize("players", [1, 2, 6, 7, 8])
def test_what_is_added_is_ones_own(players: int) -> None:
    """Exactly, whether all coalitions are asked for or only some."""
    parts, runs = shapley(players, additive, 64)
    assert parts[:, 0] == pytest.approx(OWN[:players])
    assert parts[:, 1] == pytest.approx(0.0)
    assert runs == min(2**players, runs) <= 64


def test_what_is_made_together_is_shared() -> None:
    """The textbook's game of gloves."""
    parts, runs = shapley(3, gloves, 64)
    assert parts[:, 0] == pytest.approx([2 / 3, 1 / 6, 1 / 6])
    assert runs == 8


def test_parts_add_up_also_where_orders_are_drawn() -> None:
    """For a game in which everything depends on everything, and the same at every call."""

    def value(coalition: frozenset[int]) -> Floats:
        return np.array([np.prod(OWN[sorted(coalition)] + 1.5)])

    parts, runs = shapley(8, value, 64)
    assert parts.sum() == pytest.approx(value(frozenset(range(8))) - value(frozenset()))
    assert 50 <= runs <= 64
    assert (shapley(8, value, 64)[0] == parts).all()


def test_drawn_orders_are_near_the_exact_parts() -> None:
    """Products of pairs: each player gets half of the pairs that it is in."""

    def value(coalition: frozenset[int]) -> Floats:
        there = np.array([each in coalition for each in range(8)])
        return np.array([(OWN * there).sum() + there[0] * there[1] * 4 + there[2] * there[3] * 2])

    exact = OWN + np.array([2, 2, 1, 1, 0, 0, 0, 0])
    parts, _ = shapley(8, value, 64)
    # Each order and its reverse give a pair's product to each of the two once.
    assert parts[:, 0] == pytest.approx(exact)
