"""Of groups that are known by a proxy only there are bounds, and never a point."""

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy import stats
from scipy.optimize import linprog

from configs.settings import Monitors
from monitors.fairness.proxies import Proxied, SelectionBounds, evidence
from monitors.signal import Signal, Verdict
from monitors.stats.anytime_shares import anytime_share
from registry.card import Card, Group
from tests.monitors.samples import CARD, block
from tests.monitors.stats.fair import assert_mean_at_most_one


def card(first: float, second: float, max_gap: float = 0.1) -> Card:
    """A card with a proxy of two values, and the chances of group x among the rows of each."""
    chances = {"a": {"x": first, "y": 1 - first}, "b": {"x": second, "y": 1 - second}}
    return CARD.model_copy(update={"groups": (Group(name="area", proxy=chances, max_gap=max_gap),)})


def after(
    of: Card, counts: dict[str | None, tuple[int, int]], minimum: int = 50
) -> dict[str, Signal]:
    """The signals after so many (selected, all) rows of each value of the proxy."""
    ages, values = [], []
    for value, (selected, rows) in counts.items():
        ages += [5.0] * selected + [-5.0] * (rows - selected)
        values += [value] * rows
    detector = SelectionBounds(of, None, Monitors(minimum_rows=minimum))
    detector.update(
        block(
            {
                "age": np.array(ages),
                "debt": np.zeros(len(ages)),
                "town": np.array(values, dtype=np.object_),
                "sex": np.full(len(ages), None, dtype=np.object_),
            }
        )
    )
    return {signal.subject: signal for signal in detector.signals()}


def sharpest(
    chances: NDArray[np.float64], weights: NDArray[np.float64], selected: NDArray[np.float64]
) -> tuple[float, float]:
    """The bounds by linear programming over all joint distributions with these margins."""
    share = float(chances @ weights)
    count = len(chances)
    # Of each value: the share of rows that are selected and in the group, then that are not in it.
    objective = np.r_[weights / share, -weights / (1 - share)]
    equal = np.hstack([np.eye(count), np.eye(count)])
    limits = [(0.0, w) for w in chances] + [(0.0, 1 - w) for w in chances]
    found = [
        linprog(sign * objective, A_eq=equal, b_eq=selected, bounds=limits) for sign in (1, -1)
    ]
    least, most = (each.fun for each in found)
    assert least is not None
    assert most is not None
    return float(least), -float(most)


def test_the_bounds_are_the_sharpest_there_are() -> None:
    """Random proxies against a linear program."""
    rng = np.random.default_rng(0)
    for _ in range(50):
        chances, selected = rng.random(4), rng.random(4)
        weights = rng.dirichlet(np.ones(4))
        proxied = Proxied(chances, weights)
        expected = sharpest(chances, weights, selected)
        assert (proxied.lowest(selected), proxied.highest(selected)) == pytest.approx(expected)


def test_bounds_of_an_interval_hold_all_bounds_within_it() -> None:
    """Any shares selected between the ends have their bounds between the outer ones."""
    rng = np.random.default_rng(1)
    for _ in range(50):
        proxied = Proxied(rng.random(3), rng.dirichlet(np.ones(3)))
        ends = np.sort(rng.random((2, 3)), axis=0)
        least, most = proxied.outer(ends[0], ends[1])
        for inside in (rng.uniform(ends[0], ends[1]) for _ in range(20)):
            assert least - 1e-12 <= proxied.lowest(inside)
            assert proxied.highest(inside) <= most + 1e-12
        corners = [np.where(rng.random(3) < 0.5, ends[0], ends[1]) for _ in range(20)]
        assert all(least - 1e-12 <= proxied.lowest(each) for each in corners)


def test_a_proxy_that_is_the_group_itself_bounds_to_the_point() -> None:
    """Chances of one and nought: the interval is around the difference of the rates."""
    found = after(card(1.0, 0.0), {"a": (200, 1000), "b": (500, 1000)})["area=x"]
    assert found.value is None
    assert "between -0.300 and -0.300" in found.message
    assert found.verdict is Verdict.ALARM
    alike = after(card(1.0, 0.0), {"a": (500, 2000), "b": (500, 2000)})["area=x"]
    assert alike.verdict is Verdict.OK


def test_bounds_that_reach_into_the_band_never_alarm() -> None:
    """A weak proxy and a large gap between its values: no number of rows would tell."""
    found = after(card(0.7, 0.3), {"a": (20_000, 100_000), "b": (50_000, 100_000)})["area=x"]
    assert found.verdict is Verdict.INSUFFICIENT_DATA
    assert found.rows_needed is None
    assert "only the groups themselves" in found.message
    assert found.lower is not None
    assert found.upper is not None
    assert found.lower < -0.3 < found.upper
    assert found.log10_evidence == pytest.approx(np.log10(0.5))


def test_few_rows_wait_and_say_how_many() -> None:
    """Too few expected of the group; then an interval that is too wide."""
    few = after(card(0.1, 0.0), {"a": (20, 100), "b": (20, 100)})["area=x"]
    assert (few.verdict, few.rows_needed) == (Verdict.INSUFFICIENT_DATA, 800)
    wide = after(card(1.0, 0.0), {"a": (30, 60), "b": (31, 60)})["area=x"]
    assert wide.verdict is Verdict.INSUFFICIENT_DATA
    assert (wide.rows_needed or 0) > 60
    hinted = after(card(1.0, 0.0), {"a": (5, 60), "b": (5, 75), "?": (5, 15)})["area=y"]
    assert "10.0% of all rows" in hinted.message


def evidence_of(proxied: Proxied, rows: int) -> NDArray[np.float64]:
    """The e-value of each number of selected rows of the first value; none of the second are."""
    return np.array(
        [
            evidence(proxied, np.array([hits, 0]), np.array([rows, rows]), 0.1)
            for hits in range(rows + 1)
        ]
    )


def test_the_mean_is_at_most_one(monkeypatch: pytest.MonkeyPatch) -> None:
    """All numbers of 120 rows, where the bounds just reach what is allowed.

    Levels that promise ten times what an interval keeps fail the same check.
    """
    proxied = Proxied(np.array([1.0, 0.0]), np.array([0.5, 0.5]))
    outcomes = stats.binom.pmf(np.arange(121), 120, 0.1)
    assert_mean_at_most_one(evidence_of(proxied, 120), outcomes)
    monkeypatch.setattr(
        "monitors.fairness.proxies.anytime_share",
        lambda hits, rows, _: anytime_share(hits, rows, 0.5),
    )
    with pytest.raises(AssertionError):
        assert_mean_at_most_one(evidence_of(proxied, 120), outcomes)


def test_a_state_of_other_values_is_refused() -> None:
    """As with groups of another name."""
    first = SelectionBounds(card(1.0, 0.0), None, Monitors())
    other = CARD.model_copy(update={"groups": (Group(name="area", proxy={"a": {"x": 1.0}}),)})
    with pytest.raises(ValueError, match="area"):
        first.restore(SelectionBounds(other, None, Monitors()).state())
