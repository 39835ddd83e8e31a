"""The dial: a rate in halves that follows traffic, load, and what the monitors can fold."""

from __future__ import annotations

from math import inf

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from monitors.blocks import Folded
from serve.recorder.dial import DRAWS, Capacity, Dial, FoldCost
from tests.serve.recorder.watching import SHARE, TARGET, Watching


@given(
    st.floats(1, 1e5),
    st.lists(st.tuples(st.integers(0, 10**6), st.floats(0.01, 10)), max_size=30),
)
def test_rates_are_halves_of_one(target: float, history: list[tuple[int, float]]) -> None:
    """Whatever the traffic, the rate is a power of a half, so that lower rates nest in higher."""
    dial = Dial(target)

    for rows, seconds in history:
        dial.turn(rows, seconds)
        mantissa, _ = np.frexp(dial.rate)
        assert mantissa == 0.5
        assert 0 < dial.rate <= 1
        assert dial.limit == int(dial.rate * DRAWS)


@given(st.integers(10, 10**7), st.floats(10, 1e4))
def test_the_rate_settles_near_its_target(traffic: int, target: float) -> None:
    """Under steady traffic the dial keeps between 45 % and 100 % of the target, or everything."""
    dial = Dial(target)

    for _ in range(40):
        dial.turn(int(traffic * dial.rate), 1.0)

    kept = traffic * dial.rate
    assert kept <= target + 1
    assert dial.rate == 1.0 or kept >= 0.44 * target - 1


def test_a_burst_is_answered_at_once() -> None:
    """One look is enough to come down, and each further look may go up one step."""
    dial = Dial(100.0)
    dial.turn(10_000, 1.0)
    assert dial.rate == 1 / 128

    dial.turn(0, 1.0)
    assert dial.rate == 1 / 64


def test_a_dial_at_zero_keeps_nothing() -> None:
    """A recorder that is switched off never comes on by itself."""
    dial = Dial(0.0)
    dial.turn(0, 1.0)

    assert (dial.rate, dial.limit) == (0.0, 0)


def test_samples_give_way_while_requests_are_refused() -> None:
    """Each look at refusals halves the rate, down to 1/1024; afterwards it recovers in steps."""
    dial = Dial(1000.0)
    rates = []
    for _ in range(12):
        dial.turn(0, 1.0, refusing=True)
        rates.append(dial.rate)
    for _ in range(10):
        dial.turn(0, 1.0)

    assert rates[:3] == [1 / 2, 1 / 4, 1 / 8]
    assert rates[-1] == 1 / 1024
    assert dial.rate == 1.0


def test_refusals_do_not_raise_a_rate_that_is_low() -> None:
    """A rate that traffic has brought below 1/1024 stays there."""
    dial = Dial(1.0)
    dial.turn(100_000, 1.0)
    low = dial.rate
    dial.turn(0, 1.0, refusing=True)

    assert dial.rate == low < 1 / 1024


def test_what_the_monitors_can_fold_bounds_the_rate() -> None:
    """Room for 100 rows a second of 1,000: an eighth is kept, and all again when there is room."""
    dial = Dial(1e6)
    dial.capacity = Capacity(rows_per_s=100.0)
    dial.turn(1000, 1.0)
    assert dial.rate == 1 / 16

    dial.capacity = Capacity()
    for _ in range(4):
        dial.turn(0, 1.0)
    assert dial.rate == 1.0


def test_monitors_that_are_behind_get_less_and_are_given_time() -> None:
    """They get less every fourth look; when they are not, the rate rises, with long pauses."""
    dial = Dial(1e6)
    dial.capacity = Capacity(behind=True)
    rates = []
    for turn in range(60):
        if turn == 6:
            dial.capacity = Capacity()
        dial.turn(10, 0.5)
        rates.append(dial.rate)

    assert rates[:6] == [1 / 2] * 4 + [1 / 4] * 2
    rises = [turn for turn in range(1, 60) if rates[turn] > rates[turn - 1]]
    assert rises == [25, 45]
    assert rates[-1] == 1.0


def test_the_cost_of_a_row_is_learned_from_totals() -> None:
    """10 ms for 100 rows: a tenth of a core is 1,000 rows a second; nothing new changes nothing."""
    cost = FoldCost()
    assert cost.rows_per_s(0.1) == inf
    cost.learn(Folded(100, 0.01))
    cost.learn(Folded(100, 0.01))
    assert cost.rows_per_s(0.1) == pytest.approx(1000)

    for n in range(40):
        cost.learn(Folded(200 + 100 * n, 0.03 + 0.02 * n))
    assert cost.rows_per_s(0.1) == pytest.approx(500, rel=1e-3)


def test_totals_that_begin_anew_come_from_another_observer() -> None:
    """After a restart the cost goes on from what was known, and never below nothing."""
    cost = FoldCost()
    cost.learn(Folded(10_000, 1.0))
    cost.learn(Folded(250, 0.025))
    assert cost.rows_per_s(0.1) == pytest.approx(1000)


@pytest.mark.parametrize("gateways", [1, 4])
@pytest.mark.parametrize("noise", [0.0, 0.1])
@pytest.mark.parametrize("traffic", [50.0, 3_000.0, 40_000.0, 1_000_000.0])
@pytest.mark.parametrize("cost", [5e-6, 1e-4])
def test_the_monitors_get_their_share_and_no_more(
    traffic: float, cost: float, noise: float, gateways: int
) -> None:
    """Within ten seconds folds take between 40 and 105 % of their share, or all that is sampled.

    Then the rate stays, also while the cost of a row is only known within a tenth of it.
    """
    watching = Watching(traffic, cost, gateways, noise=noise)
    watching.run(20)
    watching.run(200)

    possible = min(traffic, gateways * TARGET) * cost
    assert watching.lost == 0
    assert watching.changes <= 2
    assert 0.4 * min(possible, SHARE) <= watching.share_taken <= 1.05 * SHARE


@pytest.mark.parametrize("cost", [5e-6, 1e-4])
@pytest.mark.parametrize("traffic", [50.0, 400.0])
def test_light_traffic_is_kept_whole_from_the_first_request(traffic: float, cost: float) -> None:
    """A few hundred rows a second are all kept, though nothing is known of what they cost."""
    watching = Watching(traffic, cost)
    watching.run(2)

    assert watching.rates == {1.0}
    assert (watching.kept, watching.lost) == (int(traffic), 0)


@pytest.mark.parametrize("target", [1000.0, TARGET])
@pytest.mark.parametrize("traffic", [10_000.0, 40_000.0, 1_000_000.0])
@pytest.mark.parametrize("cost", [5e-6, 1e-4])
def test_the_first_second_of_a_flood_costs_little(
    traffic: float, cost: float, target: float
) -> None:
    """It brings the monitors at most 1,500 rows, and at most twice what a later second does."""
    watching = Watching(traffic, cost, target=target)
    watching.run(2)
    first, lost = watching.kept, watching.lost
    watching.run(20)
    watching.run(20)

    assert lost == 0
    assert 0 < first <= min(1500, 2 * watching.kept / 10)


def fill(dial: Dial) -> int:
    """How many rows are kept until the rate falls; 5,000 at most."""
    before = dial.rate
    for rows in range(5000):
        dial.kept(1)
        if dial.rate < before:
            return rows
    return 5000


@pytest.mark.parametrize(("behind", "rows"), [(False, [500, 1000, 2000, 2000]), (True, [500] * 4)])
def test_full_turns_open_the_dial_while_the_monitors_keep_up(behind: bool, rows: list[int]) -> None:
    """Each has room for twice as many rows, up to what may be kept; none while they are behind."""
    dial = Dial(4000.0, 0.5)
    dial.capacity = Capacity(behind=behind)
    filled = []
    for _ in range(4):
        filled.append(fill(dial))
        dial.turn(filled[-1], 0.5)

    assert filled == rows


@pytest.mark.parametrize(("core", "lost"), [(0.05, 0), (0.02, 10)])
def test_a_starved_observer_is_sent_less_before_anything_is_lost(core: float, lost: int) -> None:
    """It had a core to itself and now gets less than its folds took: soon no shipment is lost.

    None at all where it gets half of what it needs; a few while it works off what it was sent
    where it gets less. The rate tries a step up and comes down again, never quickly.
    """
    watching = Watching(20_000.0, 1e-4)
    watching.run(60)
    watching.core = core
    watching.run(100)
    assert watching.lost <= lost
    watching.run(400)

    assert watching.lost == 0
    assert watching.changes <= 2 * 400 / 20
    assert 0.4 * core <= watching.share_taken <= core
    assert max(watching.rates) <= 4 * min(watching.rates)


def test_traffic_that_comes_and_goes_is_followed() -> None:
    """Every row at night, a share of them by day, every row again the next night."""
    watching = Watching(100.0, 1e-4)
    for traffic, expected in ((100.0, {1.0}), (50_000.0, {1 / 64}), (100.0, {1.0})):
        watching.traffic = traffic
        watching.run(40)
        watching.run(20)
        assert watching.rates == expected
        assert watching.lost == 0
