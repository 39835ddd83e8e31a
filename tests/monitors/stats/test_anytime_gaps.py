"""Evidence about two shares is fair while they are as allowed, and intervals hold at every look."""

from collections.abc import Callable
from itertools import product

import numpy as np
import pytest
from scipy import stats
from scipy.optimize import minimize_scalar

from monitors.stats.anytime_gaps import (
    Allowed,
    _along_gap,
    _along_ratio,
    anytime_gap,
    anytime_ratio,
    log_evidence,
    log_mixture,
)
from tests.monitors.stats.fair import assert_alarms_within, assert_mean_at_most_one

TABLES = [
    ((3, 10), (7, 12)),
    ((0, 5), (4, 4)),
    ((0, 7), (0, 3)),
    ((5, 5), (9, 9)),
    ((1, 400), (350, 900)),
    ((56, 70), (48, 80)),
    ((12_345, 100_000), (777, 5000)),
]
STAKES = [
    Allowed(gap=0.1),
    Allowed(ratio=0.8),
    Allowed(gap=0.2, ratio=0.5),
    Allowed(gap=0.3, ratio=1),
]


def log_likelihood(first: tuple[int, int], second: tuple[int, int], p: float, q: float) -> float:
    """By the chances of whole samples, less the number of their orders."""
    found = 0.0
    for (hits, rows), chance in ((first, p), (second, q)):
        share = min(max(chance, 0.0), 1.0)
        found += stats.binom.logpmf(hits, rows, share) - stats.binom.logpmf(hits, rows, 0.5)
        found -= rows * np.log(2)
    return float(found)


def best(low: float, high: float, of: Callable[[float], float]) -> float:
    """The largest value between two points, found by another's search, ends included."""
    found = minimize_scalar(lambda x: -of(x), bounds=(low, high), options={"xatol": 1e-12})
    return max(-float(found.fun), of(low), of(high))


@pytest.mark.parametrize(("first", "second"), TABLES)
@pytest.mark.parametrize("gap", [0.0, 0.05, 0.3, 0.9])
def test_the_largest_likelihood_at_a_gap_is_that_of_a_search(
    first: tuple[int, int], second: tuple[int, int], gap: float
) -> None:
    """The root of the cubic against a search along the line."""
    a, b, at = np.array(first), np.array(second), np.array(gap)
    found = float(_along_gap(a, b, at, at))
    sought = best(gap, 1.0, lambda p: log_likelihood(first, second, p, p - gap))
    assert found == pytest.approx(sought, rel=1e-6, abs=1e-6)


@pytest.mark.parametrize(("first", "second"), TABLES)
@pytest.mark.parametrize("ratio", [0.1, 0.8, 1.0])
def test_the_largest_likelihood_at_a_ratio_is_that_of_a_search(
    first: tuple[int, int], second: tuple[int, int], ratio: float
) -> None:
    """The root of the quadratic against a search along the line."""
    a, b = np.array(first), np.array(second)
    found = float(_along_ratio(a, b, np.array(ratio), np.array(1.0)))
    sought = best(0.0, 1.0, lambda p: log_likelihood(first, second, p, ratio * p))
    assert found == pytest.approx(sought, rel=1e-6, abs=1e-6)


def edges(allowed: Allowed) -> list[tuple[float, float]]:
    """Pairs that are just allowed, and some that are well inside."""
    found = [(0.3, 0.3), (0.01, 0.01)]
    for high in np.linspace(0.02, 1.0, 9).tolist():
        low = max(high - allowed.gap, high * allowed.ratio, 0.0)
        found += [(high, low), (low, high)]
    return found


def worth(
    rows: np.ndarray, streams: np.ndarray, allowed: Allowed, stop: float, broken: bool
) -> np.ndarray:
    """The e-values of sequences, (sequences, rows), where each was stopped at `stop` or at the end.

    Broken: what bets have won is taken to be what the best of them, known afterwards, would have.
    """
    found = np.zeros(len(rows))
    done = np.zeros(len(rows), dtype=np.bool_)
    for end in range(1, rows.shape[1] + 1):
        counts = [
            np.stack(
                [
                    (rows[:, :end] * (streams[:end] == number)).sum(axis=1),
                    np.full(len(rows), (streams[:end] == number).sum()),
                ],
                axis=1,
            )
            for number in (0, 1)
        ]
        won = log_mixture(counts[0]) + log_mixture(counts[1])
        if broken:
            won = _own_likelihood(counts[0]) + _own_likelihood(counts[1])
        value = np.exp(log_evidence(counts[0], counts[1], won, allowed))
        found = np.where(done, found, value)
        done |= value >= stop
    return found


def _own_likelihood(counts: np.ndarray) -> np.ndarray:
    hits, rows = counts[:, 0], counts[:, 1]
    share = hits / np.maximum(rows, 1)
    of_orders = stats.binom.logpmf(hits, rows, 0.5) + rows * np.log(2)
    return np.asarray(stats.binom.logpmf(hits, rows, share) - of_orders)


def check_means(allowed: Allowed, stop: float, broken: bool = False) -> None:
    """All outcomes of nine rows that take turns unevenly, at pairs that are allowed."""
    streams = np.array([0, 1, 1, 0, 1, 1, 1, 0, 1])
    rows = np.array(list(product((0, 1), repeat=len(streams))))
    values = worth(rows, streams, allowed, stop, broken)
    for pair in edges(allowed):
        shares = np.array(pair)[streams]
        chances = np.where(rows == 1, shares, 1 - shares).prod(axis=1)
        assert_mean_at_most_one(values, chances)


@pytest.mark.parametrize("allowed", STAKES)
@pytest.mark.parametrize("stop", [1.05, 2.0, np.inf])
def test_the_mean_is_at_most_one(allowed: Allowed, stop: float) -> None:
    """Stopped when it is large, or at the end, whatever pair that is allowed is true."""
    check_means(allowed, stop)


@pytest.mark.parametrize("allowed", STAKES)
def test_a_broken_one_is_found(allowed: Allowed) -> None:
    """Bets that are chosen afterwards have a mean above one."""
    with pytest.raises(AssertionError):
        check_means(allowed, np.inf, broken=True)


def test_a_prior_from_elsewhere_keeps_the_mean() -> None:
    """All outcomes of eight rows, with what a reference is said to have counted."""
    rows = np.array(list(product((0, 1), repeat=8)))
    first = np.stack([rows[:, :4].sum(axis=1), np.full(256, 4)], axis=1)
    second = np.stack([rows[:, 4:].sum(axis=1), np.full(256, 4)], axis=1)
    won = log_mixture(first, np.array([90, 100])) + log_mixture(second, np.array([10, 100]))
    values = np.exp(log_evidence(first, second, won, Allowed(gap=0.1)))
    assert values.max() > 3
    for p, q in edges(Allowed(gap=0.1)):
        shares = np.repeat([p, q], 4)
        assert_mean_at_most_one(values, np.where(rows == 1, shares, 1 - shares).prod(axis=1))


@pytest.mark.parametrize(("first", "second"), TABLES)
def test_an_interval_holds_what_has_not_been_won_against(
    first: tuple[int, int], second: tuple[int, int]
) -> None:
    """Just inside of either bound less than 20 has been won, just outside as much or more."""
    a, b = np.array(first), np.array(second)
    won = log_mixture(a) + log_mixture(b)
    lower, upper = (float(bound) for bound in anytime_gap(a, b, won))
    low, high = (float(bound) for bound in anytime_ratio(a, b, won))
    assert -1 <= lower <= a[0] / a[1] - b[0] / b[1] <= upper <= 1
    assert 0 <= low <= high

    def excess(gap: float) -> float:
        """What the best pair at this gap leaves of 20."""
        line = (max(0.0, gap), min(1.0, 1 + gap))
        most = best(*line, lambda p: log_likelihood(first, second, p, p - gap))
        return float(won - most - np.log(20))

    for bound, inward in ((lower, 1e-4), (upper, -1e-4)):
        if abs(bound) < 1 - 1e-6:
            assert excess(bound + inward) < 0 <= excess(bound - inward)


def test_without_rows_nothing_is_known() -> None:
    """The widest interval, and no evidence; also where one of many has none."""
    first, second = np.array([[0, 0], [3, 9]]), np.array([[5, 8], [0, 0]])
    won = log_mixture(first) + log_mixture(second)
    assert [bound.tolist() for bound in anytime_gap(first, second, won)] == [[-1, -1], [1, 1]]
    assert [bound.tolist() for bound in anytime_ratio(first, second, won)] == [[0, 0], [np.inf] * 2]
    assert (log_evidence(first, second, won, Allowed(gap=0.1)) <= 0).all()
    none = np.zeros((1, 2), dtype=np.int64)
    assert log_evidence(none, none, log_mixture(none), Allowed(gap=0.1)).tolist() == [0.0]


def paths(seed: int, rows: int, runs: int, p: float, q: float) -> tuple[np.ndarray, np.ndarray]:
    """Counts after every tenth row of each of two streams, (runs, looks, 2)."""
    rng = np.random.default_rng(seed)
    looks = np.arange(10, rows + 1, 10)
    each = []
    for share in (p, q):
        hits = (rng.random((runs, rows)) < share).cumsum(axis=1)[:, looks - 1]
        each.append(np.stack([hits, np.broadcast_to(looks, hits.shape)], axis=2))
    return each[0], each[1]


@pytest.mark.parametrize(("p", "q"), [(0.3, 0.3), (0.1, 0.25), (0.95, 0.9)])
def test_intervals_cover_at_every_look_at_once(p: float, q: float) -> None:
    """400 streams of 300 rows, looked at every ten rows: gap and ratio are inside to the end."""
    first, second = paths(3, 300, 400, p, q)
    won = log_mixture(first) + log_mixture(second)
    for (lower, upper), truth in (
        (anytime_gap(first, second, won), p - q),
        (anytime_ratio(first, second, won), p / q),
    ):
        always = ((lower <= truth) & (truth <= upper)).all(axis=1)
        assert always.mean() >= 0.95


def test_no_alarm_at_the_edge_of_what_is_allowed() -> None:
    """A gap of just what is allowed, 300 streams of 500 rows, a budget of 10 %."""
    allowed = Allowed(gap=0.1)

    def ever(seed: int) -> bool:
        first, second = paths(seed, 500, 1, 0.4, 0.3)
        won = log_mixture(first) + log_mixture(second)
        return bool((log_evidence(first, second, won, allowed) >= np.log(10)).any())

    assert_alarms_within(0.1, 300, ever)


def test_what_is_not_allowed_is_found() -> None:
    """A gap of three tenths where one is allowed: proved beyond 1,000 in 400 rows of each."""
    first, second = paths(1, 400, 1, 0.6, 0.3)
    won = log_mixture(first) + log_mixture(second)
    assert log_evidence(first, second, won, Allowed(gap=0.1))[0, -1] > np.log(1000)
