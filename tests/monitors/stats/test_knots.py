"""Losses on knots keep their mean, and never pay a bet too much."""

import numpy as np
import pytest

from monitors.stats.knots import KNOTS, on_knots


def test_each_loss_keeps_its_mean() -> None:
    """One row lies on two knots at most, and their mean is the loss; NaN lies nowhere."""
    losses = np.r_[0.0, 1.0, 0.5, np.random.default_rng(0).random(200), np.nan]
    shares = on_knots(losses)
    assert ((shares > 0).sum(axis=1) <= 2).all()
    np.testing.assert_allclose(shares[:-1].sum(axis=1), 1.0)
    np.testing.assert_allclose(shares[:-1] @ KNOTS, losses[:-1], atol=1e-12)
    assert not shares[-1].any()


@pytest.mark.parametrize("stake", [0.05, 0.9, 20.0])
def test_a_bet_on_knots_is_never_paid_more_than_on_the_loss(stake: float) -> None:
    """The chord of a concave function lies below it, and at 0 and 1 upon it."""
    losses = np.linspace(0, 1, 301)
    bound = min(0.5, 0.9 / stake)
    paid = on_knots(losses) @ np.log1p(stake * (KNOTS - bound))
    exact = np.log1p(stake * (losses - bound))
    assert (paid <= exact + 1e-12).all()
    np.testing.assert_allclose(paid[[0, -1]], exact[[0, -1]])
