"""Ranks within strata keep the promise whatever the mix, and like is compared with like."""

from __future__ import annotations

from collections.abc import Callable
from itertools import permutations, product

import numpy as np
import pytest
from numpy.typing import NDArray

from monitors.stats.effects import bin_scores, location_shift, moments
from monitors.stats.named import NamedStreams
from monitors.stats.running import SKIP, Running, counted
from monitors.stats.strata import STRATUM_ROWS_MIN, LikeWithLike, WithinStrata
from monitors.stats.tilts import normal_tilts
from tests.monitors.stats.fair import assert_alarms_within, assert_mean_at_most_one

BINS = 4


def one_by_one(
    reference: list[tuple[int, int]], rows: list[tuple[int, int]], u: list[float]
) -> list[float]:
    """The definition: the rank of each row (stratum, bin) among those of its stratum before it."""
    past = [*reference]
    out = []
    for (stratum, code), draw in zip(rows, u, strict=True):
        past.append((stratum, code))
        own = [b for s, b in past if s == stratum]
        out.append((sum(b < code for b in own) + draw * own.count(code)) / len(own))
    return out


def test_ranks_within_strata_agree_with_their_definition_however_rows_are_split() -> None:
    """Vectors, split anywhere, some rows skipped, and a stratum that the reference lacks."""
    rng = np.random.default_rng(0)
    codes = rng.integers(0, BINS, (3, 60)).astype(np.int16)
    codes[1, 5:9] = SKIP
    strata = rng.integers(0, 3, 60).astype(np.int16)
    u = rng.random((3, 60))
    reference = rng.integers(0, 5, (3, 3, BINS))
    reference[2] = 0
    within = WithinStrata(reference, together=False)
    cuts = (slice(0, 1), slice(1, 33), slice(33, 60))
    p = np.hstack([within.p_values(Running(codes[:, a], BINS), strata[a], u[:, a]) for a in cuts])
    for s in range(3):
        seen = codes[s] != SKIP
        known = [
            (stratum, b)
            for stratum in range(3)
            for b in range(BINS)
            for _ in range(reference[stratum, s, b])
        ]
        rows_of = list(zip(strata[seen].tolist(), codes[s, seen].tolist(), strict=True))
        np.testing.assert_allclose(p[s, seen], one_by_one(known, rows_of, u[s, seen].tolist()))
        assert np.isnan(p[s, ~seen]).all()


LOW, HIGH = (0, 0, 1, 1), (2, 2, 3, 3, 3)
"""What the rows of two strata hold, in any order within each: one stratum lies below the other."""

MIXES = [(0, 1, 1), (1, 0, 1), (1, 1, 0)]
GRID = (np.arange(12) + 0.5) / 12

Ranked = Callable[[list[tuple[int, int]], list[tuple[int, int]], list[float]], list[float]]


def all_outcomes(mix: tuple[int, ...], ranked: Ranked) -> NDArray[np.float64]:
    """The p-values of three live rows of a mix of strata, over all orders within strata."""
    found = []
    bags = [sorted(set(permutations(bag))) for bag in (LOW, HIGH)]
    for orders in product(*bags):
        kept = [len(bag) - mix.count(stratum) for stratum, bag in enumerate((LOW, HIGH))]
        reference = [(s, b) for s, order in enumerate(orders) for b in order[: kept[s]]]
        live = [iter(order[kept[s] :]) for s, order in enumerate(orders)]
        rows = [(stratum, next(live[stratum])) for stratum in mix]
        found += [ranked(reference, rows, list(u)) for u in product(GRID, repeat=3)]
    return np.array(found)


def in_one_stratum(
    reference: list[tuple[int, int]], rows: list[tuple[int, int]], u: list[float]
) -> list[float]:
    """The same ranks without a word about strata."""
    return one_by_one([(0, b) for _, b in reference], [(0, b) for _, b in rows], u)


@pytest.mark.parametrize("mix", MIXES)
def test_p_values_are_uniform_and_independent_over_all_orders_within_strata(
    mix: tuple[int, ...],
) -> None:
    """Whatever the mix of live rows, one stratum of which was rare in the reference."""
    p = all_outcomes(mix, one_by_one)
    halves = (p < 0.5).astype(int)
    together = np.bincount(halves @ [4, 2, 1], minlength=8) / len(p)
    np.testing.assert_allclose(together, np.full(8, 1 / 8), atol=0.02)
    for row, mean in zip(p.T, p.mean(axis=0), strict=True):
        assert mean == pytest.approx(0.5, abs=1e-9)
        cells = np.histogram(row, bins=4, range=(0, 1))[0] / len(row)
        np.testing.assert_allclose(cells, np.full(4, 1 / 4), atol=0.02)
    np.testing.assert_allclose(np.corrcoef(p.T), np.eye(3), atol=1e-9)


def bets(p: NDArray[np.float64], mix: tuple[int, ...]) -> NDArray[np.float64]:
    """What is won by who bets that rows of the upper stratum rank high, and others low."""
    guesses = np.where(np.array(mix) == 1, 1.0, -1.0)
    return np.asarray(np.prod(1 + guesses * (2 * p - 1), axis=1))


@pytest.mark.parametrize("mix", MIXES)
def test_the_mean_e_value_over_all_orders_is_at_most_one(mix: tuple[int, ...]) -> None:
    """Enumerated; ranks that know nothing of strata break the promise."""
    within = bets(all_outcomes(mix, one_by_one), mix)
    without = bets(all_outcomes(mix, in_one_stratum), mix)
    chances = np.full(len(within), 1 / len(within))
    assert_mean_at_most_one(within, chances)
    with pytest.raises(AssertionError):
        assert_mean_at_most_one(without, chances)


def drawn(rng: np.random.Generator, strata: NDArray[np.int16], streams: int) -> NDArray[np.int16]:
    """Bins of rows, each stratum of which lies elsewhere."""
    shares = np.array([[0.7, 0.2, 0.1, 0.0], [0.1, 0.3, 0.3, 0.3], [0.0, 0.0, 0.5, 0.5]])
    edges = np.cumsum(shares, axis=1)[strata][:, None]
    return np.asarray((rng.random((len(strata), streams, 1)) >= edges).sum(axis=2).T, np.int16)


def named(reference: NDArray[np.int64], together: bool = False) -> NamedStreams:
    """Streams whose rows are ranked within three strata."""
    names = [f"s{number}" for number in range(reference.shape[1])]
    return NamedStreams(
        names,
        reference.sum(axis=0),
        lambda _: normal_tilts(),
        strata=reference,
        together=together,
    )


def referenced(rng: np.random.Generator, rows: int, streams: int) -> NDArray[np.int64]:
    """A reference of so many rows in each of the first two strata, and none in the third."""
    each = [counted(drawn(rng, np.full(rows, s, np.int16), streams), BINS) for s in range(3)]
    return np.stack([each[0], each[1], np.zeros_like(each[2])])


@pytest.mark.parametrize("rows", [30, 1000])
@pytest.mark.slow
def test_streams_within_strata_alarm_falsely_within_the_budget(rows: int) -> None:
    """400 streams whose mix of strata goes back and forth, after a small or a large reference."""
    rng = np.random.default_rng(1)
    streams, budget = 100, 0.05
    reached: list[bool] = []
    for _ in range(4):
        watched = named(referenced(rng, rows, streams))
        ever = np.zeros(streams, dtype=bool)
        for look in range(24):
            often = [0.9, 0.1, 0.0] if look % 4 < 2 else [0.1, 0.6, 0.3]
            strata = rng.choice(3, 50, p=often).astype(np.int16)
            keys = rng.integers(0, 2**63, 50).astype(np.uint64)
            watched.update(keys, drawn(rng, strata, streams), 0, strata)
            ever |= watched.log_wealth() >= -np.log(budget)
        reached += ever.tolist()
    assert_alarms_within(budget, len(reached), lambda run: reached[run])


def test_the_same_streams_without_strata_alarm() -> None:
    """A change of the mix alone is then a change of every stream."""
    rng = np.random.default_rng(2)
    reference = referenced(rng, 1000, 50)
    blind = NamedStreams(
        [f"s{number}" for number in range(50)], reference.sum(axis=0), lambda _: normal_tilts()
    )
    strata = np.ones(300, dtype=np.int16)
    keys = rng.integers(0, 2**63, 300).astype(np.uint64)
    blind.update(keys, drawn(rng, strata, 50))
    assert (blind.log_wealth() >= np.log(20)).all()


@pytest.mark.parametrize("together", [True, False])
def test_splits_and_restarts_change_nothing(together: bool) -> None:
    """One block, blocks of 1 and of 7, and a state that is gone on from: the same to the end."""
    rng = np.random.default_rng(3)
    reference = referenced(rng, 200, 4)
    strata = rng.integers(0, 3, 400).astype(np.int16)
    codes = drawn(rng, strata, 4)
    codes[:, 200:] = np.maximum(codes[:, 200:], 2)
    if not together:
        codes[2, ::5] = SKIP
    keys = rng.integers(0, 2**63, 400).astype(np.uint64)

    def folded(size: int, kept: bool) -> NamedStreams:
        streams = named(reference, together)
        for at in range(0, 400, size):
            rows = slice(at, at + size)
            streams.update(keys[rows], codes[:, rows], 0, strata[rows])
            if kept and at % (3 * size) == 0:
                state = {name: array.copy() for name, array in streams.state().items()}
                streams = named(reference, together)
                streams.restore(state)
        return streams

    whole = folded(400, kept=False)
    expected = np.stack([((strata == s) & (codes != SKIP)).sum(axis=1) for s in range(3)], axis=1)
    np.testing.assert_array_equal(whole.strata_rows(), expected)
    for size, kept in ((1, False), (7, False), (50, True)):
        streams = folded(size, kept)
        np.testing.assert_allclose(streams.log_wealth(), whole.log_wealth(), rtol=1e-9)
        np.testing.assert_array_equal(streams.counts, whole.counts)
        np.testing.assert_array_equal(streams.counts_since_change(), whole.counts_since_change())
        np.testing.assert_array_equal(streams.strata_rows(), whole.strata_rows())
        np.testing.assert_array_equal(streams.strata_since_change(), whole.strata_since_change())


def test_rows_since_the_change_are_known_by_stratum() -> None:
    """As many as the bins hold, after a change as before; a stream that begins anew has none."""
    rng = np.random.default_rng(4)
    streams = named(referenced(rng, 1000, 3))
    for top in (0, 2):
        strata = rng.integers(0, 2, 900).astype(np.int16)
        codes = np.maximum(drawn(rng, strata, 3), top).astype(np.int16)
        keys = rng.integers(0, 2**63, 900).astype(np.uint64)
        streams.update(keys, codes, 0, strata)
    since = streams.counts_since_change().sum(axis=1)
    assert (since < 1200).all()
    np.testing.assert_array_equal(streams.strata_since_change().sum(axis=1), since)
    streams.restart(1)
    assert streams.strata_rows().sum(axis=1).tolist() == [1800, 0, 1800]


def test_rows_need_strata_where_the_reference_has_them_and_only_there() -> None:
    """Rows that were ranked in the wrong company would be found out by nobody."""
    rng = np.random.default_rng(5)
    strata = np.zeros(5, dtype=np.int16)
    keys = np.zeros(5, dtype=np.uint64)
    reference = referenced(rng, 30, 2)
    codes = drawn(rng, strata, 2)
    plain = NamedStreams(["a", "b"], reference.sum(axis=0), lambda _: normal_tilts())
    with pytest.raises(ValueError, match="strata"):
        named(reference).update(keys, codes)
    with pytest.raises(ValueError, match="strata"):
        plain.update(keys, codes, 0, strata)


def test_a_state_of_other_strata_is_refused() -> None:
    """Counts of two strata are not those of three."""
    rng = np.random.default_rng(6)
    reference = referenced(rng, 30, 2)
    state = named(reference).state()
    with pytest.raises(ValueError, match="strata_rows"):
        named(reference[:2]).restore(state)


def test_the_reference_is_weighted_to_the_live_mix() -> None:
    """By weights of single rows; their number is Kish's, one over the sum of squared weights."""
    rng = np.random.default_rng(7)
    by_stratum = rng.integers(5, 40, (3, 2, BINS))
    by_stratum[2, :] = 1
    assert (by_stratum[2].sum(axis=1) < STRATUM_ROWS_MIN).all()
    whole = by_stratum.sum(axis=0) + rng.integers(0, 9, (2, BINS))
    mix = np.array([[10, 70, 20], [0, 300, 0]])

    found = LikeWithLike(whole, by_stratum).reference(mix)

    for stream in range(2):
        rows = [
            (s, b) for s in range(3) for b in range(BINS) for _ in range(by_stratum[s, stream, b])
        ]
        rest = whole[stream] - by_stratum[:, stream].sum(axis=0)
        rows += [(3, b) for b in range(BINS) for _ in range(rest[b])]
        shares = mix[stream] / mix[stream].sum()
        weights = np.full(len(rows), shares[2] / len(rows))
        for at, (s, _) in enumerate(rows):
            if s < 2:
                weights[at] += shares[s] / by_stratum[s, stream].sum()
        assert weights.sum() == pytest.approx(1)
        expected = np.bincount([b for _, b in rows], weights) / (weights**2).sum()
        np.testing.assert_allclose(found[stream], expected)


def test_live_rows_help_out_where_the_reference_lacks_a_stratum() -> None:
    """A stratum that only live rows know is compared with all of its own; others are left alone."""
    rng = np.random.default_rng(10)
    by_stratum = rng.integers(10, 40, (3, 2, BINS))
    by_stratum[1] = 0
    whole = by_stratum.sum(axis=0)
    alike = LikeWithLike(whole, by_stratum)
    assert alike.lacks
    live = rng.integers(10, 90, (2, 3, BINS))
    mix = np.array([[0, 50, 0], [30, 60, 10]])

    found = alike.reference(mix, live)

    np.testing.assert_allclose(found[0], live[0, 1])
    known = [by_stratum[0, 1], live[1, 1], by_stratum[2, 1]]
    shares = sum(w * c / c.sum() for w, c in zip((0.3, 0.6, 0.1), known, strict=True))
    np.testing.assert_allclose(found[1] / found[1].sum(), shares)
    squares = sum(w**2 / c.sum() for w, c in zip((0.3, 0.6, 0.1), known, strict=True))
    assert found[1].sum() == pytest.approx(1 / squares)
    assert not LikeWithLike(whole, by_stratum[[0, 2]]).lacks


def test_the_mix_of_the_reference_gives_the_reference() -> None:
    """And so do no live rows, and a reference that knows of no strata."""
    rng = np.random.default_rng(8)
    by_stratum = rng.integers(10, 40, (3, 2, BINS))
    whole = by_stratum.sum(axis=0)
    alike = LikeWithLike(whole, by_stratum)
    np.testing.assert_allclose(alike.reference(by_stratum.sum(axis=2).T), whole)
    np.testing.assert_allclose(alike.reference(np.zeros((2, 3), dtype=np.int64)), whole)
    blind = LikeWithLike(whole, np.zeros_like(by_stratum))
    np.testing.assert_allclose(blind.reference(np.array([[1, 2, 3], [0, 0, 9]])), whole)


def test_the_effect_is_that_within_strata_averaged_over_live_rows() -> None:
    """A mix that changes is no shift; the shift within strata is what is left."""
    reference = np.array([[[400, 100, 0, 0]], [[0, 0, 100, 400]]])
    whole = reference.sum(axis=0)
    scores = bin_scores(whole[0])
    live = np.array([[180, 720, 0, 0], [0, 0, 20, 80]])
    mix = live.sum(axis=1)[None]
    alike = LikeWithLike(whole, reference).reference(mix)[0]

    now = moments(scores, live.sum(axis=0))
    effect = location_shift(moments(scores, alike), now)

    unit = np.sqrt(moments(scores, alike).variance)
    within = [
        (moments(scores, live[s]).mean - moments(scores, reference[s, 0]).mean) / unit
        for s in range(2)
    ]
    assert effect.value == pytest.approx(0.9 * within[0] + 0.1 * within[1])
    still = LikeWithLike(whole, reference).reference(np.array([[900, 100]]))[0]
    same = np.rint(still / still.sum() * 1000).astype(np.int64)
    assert location_shift(moments(scores, still), moments(scores, same)).value == pytest.approx(
        0, abs=1e-3
    )
    assert abs(location_shift(moments(scores, whole[0]), moments(scores, same)).value) > 0.5


def test_bounds_of_the_effect_hold_within_strata() -> None:
    """Without change, whatever the mix, the 99 % bounds enclose 0 about as often as they say."""
    rng = np.random.default_rng(9)
    trials, misses = 400, 0
    for _ in range(trials):
        reference = referenced(rng, 60, 1)
        whole = reference.sum(axis=0)
        strata = rng.choice(2, 800, p=[0.85, 0.15]).astype(np.int16)
        live = counted(drawn(rng, strata, 1), BINS)
        mix = np.bincount(strata, minlength=3)[None]
        scores = bin_scores(whole[0])
        alike = LikeWithLike(whole, reference).reference(mix)[0]
        effect = location_shift(moments(scores, alike), moments(scores, live[0]))
        misses += effect.at_least > 0
    assert misses <= 0.04 * trials
