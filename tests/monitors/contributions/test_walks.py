"""Parts of a row add up exactly, are right on average, and say honestly how far they are off."""

from __future__ import annotations

from collections.abc import Callable
from itertools import product

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy.stats import t as student

from monitors.contributions.walks import Parts, Value, walked
from monitors.why.shapley import shapley

Floats = NDArray[np.float64]
Model = Callable[[Floats], Floats]

POINTS = (-1.0, 0.0, 2.0)
"""The values of each feature of the reference in these tests, all as likely."""
ROW = np.array([2.0, 1.0, -1.0, 0.5, 3.0, -2.0])


def tree(x: Floats) -> Floats:
    """Three features that do nothing without each other, a product, and the larger of two.

    What two make together is theirs in halves whatever the orders; three make orders count.
    """
    together = np.where((x[:, 0] > 0) & (x[:, 1] > 0) & (x[:, 2] < 1), 2.0, 0.0)
    larger = np.where(x[:, 3] > 0, np.maximum(x[:, 4], x[:, 5]), 0.0)
    return np.asarray(together + x[:, 2] * x[:, 3] + larger)


def value_of(model: Model, row: Floats, background: Floats) -> Value:
    """The scores of rows between a row and a background."""
    return lambda masks, begins: model(np.where(masks, row, background[begins]))


def explained(
    model: Model, row: Floats, background: Floats, samples: int | None = None, seed: int = 0
) -> Parts:
    """The parts of a row."""
    count = len(background) if samples is None else samples
    score = float(model(row[None])[0])
    return walked(len(row), score, value_of(model, row, background), count, seed, lambda: True)


def enumerated(model: Model, row: Floats, background: Floats) -> Floats:
    """The Shapley values by their definition, over all coalitions and all of a background."""

    def worth(coalition: frozenset[int]) -> Floats:
        mask = np.array([each in coalition for each in range(len(row))])
        return np.array([model(np.where(mask, row, background)).mean()])

    parts, runs = shapley(len(row), worth, 2 ** len(row))
    assert runs == 2 ** len(row)
    return parts[:, 0]


def test_a_linear_model_gets_its_closed_form() -> None:
    """Weight times distance to the mean of the background, however few walks there are."""
    rng = np.random.default_rng(1)
    weights, row = rng.standard_normal(30), rng.standard_normal(30)
    background = rng.standard_normal((17, 30)) * 3 + 1
    found = explained(lambda x: x @ weights + 5, row, background)
    assert found.parts == pytest.approx(weights * (row - background.mean(axis=0)), abs=1e-9)
    assert found.base == pytest.approx((background @ weights).mean() + 5, abs=1e-9)
    spread = np.abs(weights) * background.std(axis=0, ddof=1) / np.sqrt(17)
    assert found.errors == pytest.approx(spread, abs=1e-9)
    assert (found.samples, found.runs) == (17, 17 * 59)


@pytest.mark.parametrize("features", [1, 2, 3, 6, 40])
def test_parts_add_up_to_the_score_less_the_base(features: int) -> None:
    """Whatever the model makes of the rows between."""
    rng = np.random.default_rng(2)
    row, background = rng.standard_normal(features), rng.standard_normal((9, features))

    def model(x: Floats) -> Floats:
        return np.asarray(np.exp(x).prod(axis=1) + np.sin(x.sum(axis=1) * 7))

    found = explained(model, row, background)
    score = float(model(row[None])[0])
    assert found.parts.sum() == pytest.approx(score - model(background).mean(), rel=1e-9)
    assert found.base == pytest.approx(model(background).mean())
    assert found.base_error == pytest.approx(model(background).std(ddof=1) / 3)


def test_two_features_are_exact() -> None:
    """An order and its reverse are all orders that there are."""
    rng = np.random.default_rng(3)
    row, background = rng.standard_normal(2), rng.standard_normal((11, 2))

    def model(x: Floats) -> Floats:
        return np.asarray(np.where(x[:, 0] > 0, x[:, 1] ** 3, x[:, 0] * 2))

    assert explained(model, row, background).parts == pytest.approx(
        enumerated(model, row, background), abs=1e-12
    )


def test_a_feature_that_does_nothing_gets_nothing() -> None:
    """And no error: nobody could doubt it."""
    rng = np.random.default_rng(4)
    found = explained(lambda x: tree(x[:, :6]), np.append(ROW, 9.0), rng.standard_normal((8, 7)))
    assert found.parts[6] == found.errors[6] == 0.0
    assert (found.errors[:6] > 0).all()


def covered(part_of_the_error: float = 1.0) -> float:
    """How many 95 % intervals hold the truth, of six parts in 300 explanations."""
    population = np.array(list(product(POINTS, repeat=6)))
    truth = enumerated(tree, ROW, population)
    rng = np.random.default_rng(5)
    width = float(student.ppf(0.975, 63)) * part_of_the_error
    hits = []
    for seed in range(300):
        background = rng.choice(np.array(POINTS), (64, 6))
        found = explained(tree, ROW, background, seed=seed)
        hits.append(np.abs(found.parts - truth) <= width * found.errors)
    return float(np.mean(hits))


def test_the_error_is_honest() -> None:
    """Against all coalitions over all rows of the reference, which were enumerated."""
    assert 0.93 <= covered() <= 0.97


def test_an_error_that_is_too_small_is_found_out() -> None:
    """The check before could fail."""
    assert covered(0.5) < 0.8


def test_more_walks_come_nearer() -> None:
    """Sixteen times as many, about a quarter of the error; and the truth is met."""
    population = np.array(list(product(POINTS, repeat=6)))
    truth = enumerated(tree, ROW, population)
    background = np.random.default_rng(6).choice(np.array(POINTS), (4096, 6))
    few, many = (explained(tree, ROW, background, samples) for samples in (256, 4096))
    assert (many.errors / few.errors) == pytest.approx(0.25, rel=0.25)
    assert (np.abs(many.parts - truth) < 4 * many.errors).all()


def test_the_same_seed_walks_the_same() -> None:
    """And fewer walks are the first of more, so that a budget that ends early changes no draw."""
    background = np.random.default_rng(7).choice(np.array(POINTS), (500, 6))
    assert (explained(tree, ROW, background).parts == explained(tree, ROW, background).parts).all()
    assert (
        explained(tree, ROW, background, seed=1).parts != explained(tree, ROW, background).parts
    ).any()

    batches: list[int] = []

    def goes_on() -> bool:
        batches.append(1)
        return len(batches) < 3

    stopped = walked(6, float(tree(ROW[None])[0]), value_of(tree, ROW, background), 500, 0, goes_on)
    again = explained(tree, ROW, background, stopped.samples)
    assert stopped.samples < 500
    assert (stopped.parts == again.parts).all()


def test_time_that_is_up_leaves_a_first_batch() -> None:
    """Two walks at least, since one has no error."""
    row = np.zeros(300)
    background = np.random.default_rng(8).standard_normal((50, 300))
    value = value_of(lambda x: x.sum(axis=1), row, background)
    found = walked(300, 0.0, value, 50, 0, lambda: False)
    assert found.samples == 2
    assert np.isfinite(found.errors).all()
