"""Ids of predictions are unique, unforeseen, and carry a uniform draw."""

from __future__ import annotations

from scipy.stats import chisquare

from serve.prediction import PredictionIds


def test_ids_are_unique_and_end_in_their_draw() -> None:
    """No id comes twice, and the draw is the number that its last eight digits spell."""
    ids = PredictionIds()

    given = [ids.next() for _ in range(10_000)]

    assert len({name for name, _ in given}) == len(given)
    assert all(len(name) == 32 and int(name[-8:], 16) == draw for name, draw in given)


def test_draws_are_uniform() -> None:
    """Sixteen equal parts of the range get equal shares of 100,000 draws."""
    ids = PredictionIds()
    counts = [0] * 16

    for _ in range(100_000):
        counts[ids.next()[1] >> 28] += 1

    assert chisquare(counts).pvalue > 1e-6
