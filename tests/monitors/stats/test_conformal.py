"""Conformal p-values are uniform and independent; bets on their bin means are not safe."""

from itertools import permutations, product
from math import comb

import numpy as np
import pytest
from scipy import stats

from monitors.stats.conformal import BinRanks
from monitors.stats.running import SKIP, Running, counted


def one_by_one(reference: list[int], codes: list[int], u: list[float]) -> list[float]:
    """The definition, without vectors: rank of each row among all before it and itself."""
    past = [b for b, count in enumerate(reference) for _ in range(count)]
    out = []
    for code, draw in zip(codes, u, strict=True):
        past.append(code)
        lower = sum(b < code for b in past)
        out.append((lower + draw * past.count(code)) / len(past))
    return out


def test_ranks_agree_with_their_definition_however_the_rows_are_split() -> None:
    """Vectors, split anywhere, give what counting one row at a time gives; skipped rows do not."""
    rng = np.random.default_rng(0)
    codes = rng.integers(0, 4, (3, 57)).astype(np.int16)
    codes[1, 5:9] = SKIP
    u = rng.random((3, 57))
    reference = np.array([[5, 0, 2, 1], [0, 0, 0, 0], [1, 1, 1, 1]])
    ranks = BinRanks(reference)
    cuts = ((0, 1), (1, 30), (30, 57))
    p = np.hstack([ranks.p_values(Running(codes[:, a:b], 4), u[:, a:b]) for a, b in cuts])
    for s in range(3):
        seen = codes[s] != SKIP
        expected = one_by_one(reference[s].tolist(), codes[s, seen].tolist(), u[s, seen].tolist())
        np.testing.assert_allclose(p[s, seen], expected)
        assert np.isnan(p[s, ~seen]).all()
    np.testing.assert_array_equal(ranks.counts, reference + counted(codes, 4))


def test_p_values_are_uniform_over_all_orders_of_the_rows() -> None:
    """Over all orders of one bag and a grid of u, two p-values in a row are uniform together."""
    bag = (0, 0, 1, 2, 2, 2)
    grid = (np.arange(12) + 0.5) / 12
    pairs = []
    for order in sorted(set(permutations(bag))):
        reference = np.bincount(order[:4], minlength=3)
        codes = [order[4], order[5]]
        pairs += [one_by_one(reference.tolist(), codes, [u, v]) for u in grid for v in grid]
    p = np.array(pairs)
    cells = np.histogram2d(p[:, 0], p[:, 1], bins=[5, 6], range=[[0, 1], [0, 1]])[0]
    np.testing.assert_allclose(cells / cells.sum(), np.full((5, 6), 1 / 30), atol=0.004)


def test_p_values_of_live_rows_are_uniform_and_independent() -> None:
    """Many short streams after a small reference: no trace of the rank or of the one before."""
    rng = np.random.default_rng(1)
    streams = 20_000
    weights = [0.6, 0.3, 0.1]
    reference = counted(rng.choice(3, (streams, 5), p=weights).astype(np.int16), 3)
    codes = rng.choice(3, (streams, 4), p=weights).astype(np.int16)
    p = BinRanks(reference).p_values(Running(codes, 3), rng.random((streams, 4)))
    for row in p.T:
        assert stats.kstest(row, "uniform").pvalue > 1e-4
    assert np.abs(np.corrcoef(p.T) - np.eye(4)).max() < 0.03


@pytest.mark.parametrize("shown", [True, False])
def test_betting_on_the_mean_over_a_bin_breaks_the_promise(shown: bool) -> None:
    """Enumerated: its mean is one at a fixed time, yet it exceeds 5 more often than 1 in 5.

    This is why p-values are drawn within their bin. Reference: five rows; a bet that an event
    of chance 0.05 is sixteen times as frequent; twelve live rows.
    """
    m, n, ratio, chance = 5, 12, 16.0, 0.05
    mean = reached = 0.0
    paths = np.array(list(product((0, 1), repeat=n)))
    for hits in range(m + 1):
        share = (hits + np.cumsum(paths, axis=1)) / (m + np.arange(1, n + 1))
        wealth = np.exp(np.cumsum(paths * np.log(ratio) - np.log1p(share * (ratio - 1)), axis=1))
        total = paths.sum(axis=1)
        weight = comb(m, hits) * chance ** (hits + total) * (1 - chance) ** (m - hits + n - total)
        mean += float(weight @ wealth[:, -1])
        reached += float(weight @ (wealth.max(axis=1) >= 5))
    if shown:
        assert mean == pytest.approx(1)
    else:
        assert reached > 1 / 5
