"""Evidence from counts in blocks: what its formulas give, never too much without a change."""

from itertools import combinations, pairwise
from math import comb, exp, log, log1p
from statistics import NormalDist

import numpy as np
import pytest
from numpy.typing import NDArray

from configs.settings import AlarmMode
from monitors.stats.hypergeometric import tails
from monitors.stats.shares import POWER, SHIFTS, STAKES, NamedShares, count_tilts
from monitors.stats.starts import start_weights
from monitors.stats.uniforms import row_uniforms, stream_keys
from tests.monitors.stats.fair import assert_alarms_within

KEYS = np.random.default_rng(7).integers(0, 2**63, 100_000).astype(np.uint64)


def shares(reference: list[tuple[int, int]], block: int = 50) -> NamedShares:
    """Shares s0, s1, ... against counts without and with the event."""
    names = [f"s{number}" for number in range(len(reference))]
    return NamedShares(names, np.array(reference, dtype=np.int64), block=block)


def feed(
    to: NamedShares, hits: NDArray[np.bool_], present: NDArray[np.bool_], cuts: list[int]
) -> None:
    """Take events in, cut at some places."""
    for a, b in pairwise(cuts):
        to.take(KEYS[a:b], 0, hits[a:b], present[a:b])


def test_bets_have_mean_one() -> None:
    """Each is a density: summed over tails from 0 to 1, dense near both ends."""
    low = np.logspace(-250, np.log10(0.5), 100_001)
    edges = np.r_[low, 1 - np.logspace(np.log10(0.5), -15, 40_001)[1:]]
    tilts = count_tilts()
    middles = (edges[1:] + edges[:-1]) / 2
    e_values = np.exp(tilts.log_e_values(tilts.sums(middles[None], np.arange(len(middles))))[0])
    np.testing.assert_allclose((e_values * np.diff(edges)).sum(axis=1), 1.0, rtol=1e-4)
    assert tilts.weights.sum() == pytest.approx(1.0)


def chance_below(
    bounds: tuple[float, float, float], reference: tuple[int, int], live: int
) -> float:
    """The chance that three blocks of 2 units have tails below bounds: over all orders of units.

    `live` events are among the six. Given the order, a tail is uniform between two chances.
    """
    units = sum(reference) + 6
    orders = list(combinations(range(units), reference[1] + live))
    total = 0.0
    for order in orders:
        unit = np.isin(np.arange(units), order)
        both = 1.0
        for end, bound in zip(range(units - 4, units + 1, 2), bounds, strict=True):
            case = unit[end - 2 : end].sum(), 2, unit[:end].sum(), end
            more, as_many = (float(x[0]) for x in tails(*(np.array([float(c)]) for c in case)))
            both *= min(max((bound - more) / as_many, 0.0), 1.0)
        total += both
    return total / len(orders)


@pytest.mark.parametrize(
    ("reference", "live"), [((3, 1), 2), ((2, 2), 1), ((4, 0), 3), ((1, 0), 1)]
)
@pytest.mark.parametrize("bounds", [(0.05, 0.1, 0.2), (0.7, 0.3, 0.9), (1.0, 0.02, 0.5)])
def test_tails_of_blocks_are_independent_and_uniform(
    bounds: tuple[float, float, float], reference: tuple[int, int], live: int
) -> None:
    """Under no change all orders are equally likely: the chances multiply, exactly.

    With bets of mean one on them, that makes the wealth a martingale.
    """
    assert chance_below(bounds, reference, live) == pytest.approx(float(np.prod(bounds)))


def test_evidence_is_what_the_formulas_give() -> None:
    """Block by block in plain loops, with units that say nothing, against whole numbers' tails."""
    rng = np.random.default_rng(1)
    present = rng.random((250, 1)) < 0.8
    hits = (rng.random((250, 1)) < np.where(np.arange(250) < 100, 0.05, 0.3)[:, None]) & present
    found = shares([(180, 9)])
    feed(found, hits, present, [0, 250])

    uniforms = row_uniforms(KEYS[49:250:50], stream_keys(["s0"]))[0].tolist()
    none, some = 180, 9
    wealth, unspent = [0.0] * 8, 1.0
    for block, uniform in enumerate(uniforms):
        rows = slice(50 * block, 50 * block + 50)
        count, units = int(hits[rows].sum()), int(present[rows].sum())
        none, some = none + units - count, some + count
        chances = [
            comb(some, c) * comb(none, units - c) / comb(none + some, units)
            for c in range(units + 1)
        ]
        upper = sum(chances[count + 1 :]) + uniform * chances[count]
        z = -NormalDist().inv_cdf(upper)
        logs = [t * z - t * t / 2 for t in SHIFTS.tolist()]
        logs += [log1p(s * (POWER * upper ** (POWER - 1) - 1)) for s in STAKES.tolist()]
        start = float(start_weights(block, 1)[0])
        unspent -= start
        wealth = [(w + start) * exp(e) for w, e in zip(wealth, logs, strict=True)]
    expected = log(unspent + sum(wealth) / 8)
    assert found.log_wealth()[0] == pytest.approx(expected, rel=1e-9)
    assert found.counts.tolist() == [[int(present.sum() - hits.sum()), int(hits.sum())]]


def run(seed: int, rows: int, ranked: bool) -> bool:
    """Whether clean rows ever reach an e-value of 10; broken: the reference is taken for exact."""
    rng = np.random.default_rng([5, seed])
    events = rng.random(40 + rows) < 0.1
    counts = (int((~events[:40]).sum()), int(events[:40].sum()))
    if not ranked:
        counts = (10**9 * counts[0] // 40, 10**9 * counts[1] // 40)
    watch = shares([counts])
    keys = rng.integers(0, 2**63, rows).astype(np.uint64)
    for at in range(40, 40 + rows, 200):
        watch.take(keys[at - 40 : at + 160], 0, events[at : at + 200, None])
        if watch.log_wealth()[0] >= np.log(10):
            return True
    return False


@pytest.mark.slow
def test_without_a_change_alarms_keep_the_budget() -> None:
    """However small the reference: 40 units here."""
    assert_alarms_within(0.1, 200, lambda seed: run(seed, 2000, ranked=True))


def test_a_broken_one_does_not() -> None:
    """What takes the shares of 40 units for the truth fails the same test."""
    with pytest.raises(AssertionError):
        assert_alarms_within(0.1, 200, lambda seed: run(seed, 2000, ranked=False))


@pytest.mark.parametrize("share", [0.0, 0.004, 0.5])
def test_an_event_that_becomes_frequent_is_found(share: float) -> None:
    """One in twenty more than before: an e-value of 10^5 within 1,500 units at most."""
    rng = np.random.default_rng(3)
    watch = shares([(round(10_000 * (1 - share)), round(10_000 * share))])
    for rows in range(100, 4001, 100):
        watch.take(KEYS[rows - 100 : rows], 0, rng.random((100, 1)) < share + 0.05 + share * 0.1)
        if watch.log_wealth()[0] > np.log(1e5):
            break
    assert rows <= {0.0: 300, 0.004: 400, 0.5: 1500}[share]


def test_cuts_do_not_matter_nor_how_many_shares_there_are() -> None:
    """One unit at a time, odd parts, or all at once; 130 shares are what each is alone."""
    rng = np.random.default_rng(4)
    present = rng.random((333, 130)) < 0.9
    hits = (rng.random((333, 130)) < 0.2) & present
    reference = [(300 + n, 50) for n in range(130)]
    whole, parts, single = (shares(reference) for _ in range(3))
    feed(whole, hits, present, [0, 333])
    feed(parts, hits, present, [0, 13, 13, 263, 300, 333])
    feed(single, hits, present, list(range(334)))
    for other in (parts, single):
        np.testing.assert_allclose(other.log_wealth(), whole.log_wealth(), rtol=1e-9)
        np.testing.assert_array_equal(other.counts, whole.counts)
        np.testing.assert_array_equal(other.counts_since_change(), whole.counts_since_change())
    alone = NamedShares(["s129"], np.array([reference[129]]))
    feed(alone, hits[:, 129:], present[:, 129:], [0, 333])
    assert alone.log_wealth()[0] == pytest.approx(whole.log_wealth()[129], rel=1e-9)


def test_it_goes_on_from_its_state_also_in_the_middle_of_a_block() -> None:
    """A state after 233 units, one share begun anew at 170: all as if it had never stopped."""
    rng = np.random.default_rng(5)
    present = np.ones((400, 2), dtype=np.bool_)
    hits = rng.random((400, 2)) < 0.3
    first, second = shares([(90, 10), (80, 20)]), shares([(90, 10), (80, 20)])
    feed(first, hits, present, [0, 170])
    first.restart(1)
    feed(first, hits, present, [170, 233])
    second.restore({name: held.copy() for name, held in first.state().items()})
    for each in (first, second):
        feed(each, hits, present, [233, 400])
    np.testing.assert_allclose(second.log_wealth(), first.log_wealth())
    np.testing.assert_array_equal(second.counts, first.counts)
    assert first.counts.sum(axis=1).tolist() == [400, 230]
    with pytest.raises(ValueError, match="open block"):
        second.restore(shares([(9, 1)]).state())


def test_nothing_to_say_is_no_evidence() -> None:
    """Units that say nothing, no units and no shares leave an e-value of one."""
    watch = shares([(90, 10)])
    nothing = np.zeros((500, 1), dtype=np.bool_)
    watch.take(KEYS[:500], 0, nothing, nothing)
    watch.take(KEYS[:0], 0, nothing[:0])
    assert watch.log_wealth()[0] == pytest.approx(0.0, abs=1e-9)
    assert watch.counts.tolist() == [[0, 0]]
    nobody = shares([])
    nobody.take(KEYS[:70], 0, np.zeros((70, 0), dtype=np.bool_))
    assert nobody.log_wealth().shape == (0,)


def test_in_the_detector_mode_bets_begin_by_the_minute() -> None:
    """Blocks that end in one minute begin one bet; its mean is the number of minutes."""
    names, reference = ["s0"], np.array([[90, 10]])
    watch = NamedShares(names, reference, AlarmMode.DETECTOR)
    rng = np.random.default_rng(6)
    for minute in range(1, 200):
        watch.take(KEYS[minute * 100 : minute * 100 + 100], minute, rng.random((100, 1)) < 0.1)
    assert 0.0 < watch.log_wealth()[0] < np.log(199 * 100)
