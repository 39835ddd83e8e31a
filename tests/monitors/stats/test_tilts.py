"""Every bet has mean one on a uniform p-value."""

import numpy as np
import pytest
from scipy.integrate import quad

from monitors.stats.tilts import WIDTHS, Tilts, normal_tilts, share_tilts
from tests.monitors.stats.fair import assert_mean_at_most_one


def e_values(tilts: Tilts, p: np.ndarray) -> np.ndarray:
    """The e-value of each bet at each p-value, shape (p-values, bets), one stream."""
    log_e = tilts.log_e_values(tilts.sums(p[None], np.arange(len(p))))
    return np.asarray(np.exp(log_e[0].T))


def test_normal_tilts_integrate_to_one() -> None:
    """Each location and scale bet integrates to one over [0, 1]."""
    tilts = normal_tilts()
    for bet in range(len(tilts.weights)):
        total = quad(
            lambda p, bet=bet: e_values(tilts, np.array([p]))[0, bet], 0, 1, epsabs=1e-6, limit=200
        )[0]
        assert total == pytest.approx(1, abs=1e-4)
    assert tilts.weights.sum() == pytest.approx(1)


@pytest.mark.parametrize("share", [0.0005, 0.01, 0.3, 0.9995])
def test_share_tilts_integrate_to_one(share: float) -> None:
    """Each share bet is constant on pieces, whose lengths times heights sum to one."""
    tilts = share_tilts(np.array([share]))
    edges = np.unique(np.r_[0, 1 - np.maximum(share, WIDTHS), 1 - share, 1])
    inside = (edges[1:] + edges[:-1]) / 2
    for bet in range(len(tilts.weights)):
        assert_mean_at_most_one(e_values(tilts, inside)[:, bet], np.diff(edges))
        assert e_values(tilts, inside)[:, bet] @ np.diff(edges) == pytest.approx(1)


def test_a_broken_bet_fails_the_check() -> None:
    """The same check refuses a bet that forgets to divide by its mean."""
    whole = share_tilts(np.array([0.3]))
    broken = Tilts(whole.sums, whole.coefficients * (np.arange(6) > 0), whole.weights)
    with pytest.raises(AssertionError):
        assert_mean_at_most_one(
            e_values(broken, np.array([0.35, 0.85]))[:, 3], np.array([0.7, 0.3])
        )


def test_skipped_rows_bet_nothing() -> None:
    """A missing p-value leaves every e-value at one."""
    for tilts in (normal_tilts(), share_tilts(np.array([0.2]))):
        np.testing.assert_array_equal(e_values(tilts, np.array([np.nan])), 1)


def test_extreme_p_values_stay_finite() -> None:
    """Zero and one, which rounding can produce, give finite logarithms."""
    tilts = normal_tilts()
    sums = tilts.sums(np.array([[0.0, 1.0]]), np.arange(2))
    assert np.isfinite(tilts.log_e_values(sums)).all()


@pytest.mark.parametrize("tilts", [normal_tilts(), share_tilts(np.array([0.2, 0.004, 0.9]))])
def test_a_block_wins_what_its_rows_win(tilts: Tilts) -> None:
    """The logarithms of the rows' e-values add up to those of the blocks, missing ones too."""
    rng = np.random.default_rng(0)
    p = rng.random((3, 25))
    p[1, 4:8] = np.nan
    rows = tilts.log_e_values(tilts.sums(p, np.arange(25)))
    blocks = tilts.log_e_values(tilts.sums(p, np.array([0, 3, 13, 23])))
    np.testing.assert_allclose(blocks, np.add.reduceat(rows, [0, 3, 13, 23], axis=2), atol=1e-12)
