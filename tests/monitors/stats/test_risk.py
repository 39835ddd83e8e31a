"""Evidence of a risen risk: never too much while it has not risen, and soon when it has."""

from collections.abc import Callable
from itertools import product

import numpy as np
import pytest
from scipy import stats

from configs.settings import AlarmMode
from monitors.stats.knots import on_knots
from monitors.stats.risk import RisingRisk, cell_ends, mean_and_variance
from tests.monitors.stats.fair import assert_alarms_within, assert_mean_at_most_one

Chance = Callable[[tuple[float, ...]], float]
"""The chance of a loss of one, given the losses before."""


class KnowsTheReference(RisingRisk):
    """Broken on purpose: takes the mean of the reference's rows for the truth."""

    def __init__(self, reference: np.ndarray, tallies: int, block: int = 10) -> None:
        super().__init__(reference, tallies, block=block)
        mean, _ = mean_and_variance(reference)
        self._cell = min(int(np.searchsorted(cell_ends(reference), mean)), len(self._gains) - 1)

    def log_wealth(self) -> float:
        """What was won against that mean alone."""
        return float(self._mixture.log_wealth()[self._cell])


def none(rows: int) -> np.ndarray:
    """No tallies."""
    return np.zeros((rows, 0), dtype=np.int64)


def told(kind: type[RisingRisk], reference: np.ndarray, live: np.ndarray, block: int) -> float:
    """The e-value of live losses."""
    risk = kind(on_knots(reference).sum(axis=0), 0, block=block)
    risk.update(live, none(len(live)))
    return float(np.exp(risk.log_wealth()))


def assert_mean(kind: type[RisingRisk], mean: float, chance: Chance, block: int) -> None:
    """The mean e-value over all outcomes of three reference rows and five live ones."""
    e_values, chances = [], []
    for reference in product((0.0, 1.0), repeat=3):
        hits = sum(reference)
        so_likely = mean**hits * (1 - mean) ** (3 - hits)
        for live in product((0.0, 1.0), repeat=5):
            of_live = [
                chance(live[:at]) if loss else 1 - chance(live[:at]) for at, loss in enumerate(live)
            ]
            e_values.append(told(kind, np.array(reference), np.array(live), block))
            chances.append(so_likely * float(np.prod(of_live)))
    assert sum(chances) == pytest.approx(1.0)
    assert_mean_at_most_one(np.array(e_values), np.array(chances))


@pytest.mark.parametrize("mean", [0.02, 0.3, 0.7, 0.98])
@pytest.mark.parametrize("block", [1, 2])
def test_the_mean_is_at_most_one(mean: float, block: int) -> None:
    """All outcomes of reference and live rows: at the same risk, and where it hangs on the past."""
    assert_mean(RisingRisk, mean, lambda _: mean, block)
    assert_mean(RisingRisk, mean, lambda past: mean if sum(past) % 2 else mean / 3, block)


@pytest.mark.parametrize("mean", [0.2, 0.4])
def test_losses_between_are_paid_no_more(mean: float) -> None:
    """Losses of 0, 0.3 and 1, which lie on knots and between."""
    values, chances = np.array([0.0, 0.3, 1.0]), np.array([0.0, mean, 0.0])
    chances[2] = (mean - 0.3 * chances[1]) * 0.9
    chances[0] = 1 - chances[1] - chances[2]
    true_mean = float(values @ chances)
    assert true_mean <= mean
    each = list(product(range(3), repeat=4))
    e_values = [told(RisingRisk, values[list(at[:2])], values[list(at[2:])], 1) for at in each]
    likely = [float(np.prod(chances[list(at)])) for at in each]
    assert_mean_at_most_one(np.array(e_values), np.array(likely))


def test_to_take_the_reference_for_the_truth_is_found_out() -> None:
    """The same check refuses a test that forgets that the reference has few rows."""
    with pytest.raises(AssertionError):
        assert_mean(KnowsTheReference, 0.3, lambda _: 0.3, 1)


def ever(
    kind: type[RisingRisk], reference: np.ndarray, live: np.ndarray, log_threshold: float
) -> bool:
    """Whether the evidence reached a threshold at some look, one look every 100 rows."""
    risk = kind(on_knots(reference).sum(axis=0), 0)
    for at in range(0, len(live), 100):
        part = live[at : at + 100]
        risk.update(part, none(len(part)))
        if risk.log_wealth() >= log_threshold:
            return True
    return False


@pytest.mark.parametrize("rows", [50, 1000])
def test_no_alarm_while_the_risk_stays(rows: int) -> None:
    """100 pairs of reference and live rows with one risk, a budget of 10 %."""

    def run(seed: int) -> bool:
        rng = np.random.default_rng([31, seed])
        losses = (rng.random(rows + 1500) < 0.15).astype(float)
        return ever(RisingRisk, losses[:rows], losses[rows:], np.log(10))

    assert_alarms_within(0.1, 100, run)


def test_the_broken_one_alarms_falsely() -> None:
    """On the same streams, which shows that they could have told."""

    def run(seed: int) -> bool:
        rng = np.random.default_rng([31, seed])
        losses = (rng.random(50 + 1500) < 0.15).astype(float)
        return ever(KnowsTheReference, losses[:50], losses[50:], np.log(10))

    with pytest.raises(AssertionError):
        assert_alarms_within(0.1, 50, run)


def test_a_harmless_shift_raises_nothing() -> None:
    """The risk falls to a tenth and comes back; or losses become others of the same mean."""

    def back(seed: int) -> bool:
        rng = np.random.default_rng([32, seed])
        live = rng.random(3000) < np.where(np.arange(3000) < 2000, 0.02, 0.2)
        reference = rng.random(2000) < 0.2
        return ever(RisingRisk, reference.astype(float), live.astype(float), np.log(10))

    def others(seed: int) -> bool:
        rng = np.random.default_rng([33, seed])
        live = (rng.random(2000) < 0.2).astype(float)
        return ever(RisingRisk, rng.beta(2, 8, 2000), live, np.log(10))

    assert_alarms_within(0.1, 50, back)
    assert_alarms_within(0.1, 50, others)


@pytest.mark.parametrize(("rise", "within"), [(0.1, 500), (0.2, 180)])
def test_a_rise_is_found_in_time(rise: float, within: int) -> None:
    """From 10 % after 1,000 rows, at a threshold of 1,000: half the streams within so many rows."""
    found = []
    for seed in range(11):
        rng = np.random.default_rng([34, seed])
        reference = (rng.random(10_000) < 0.1).astype(float)
        chance = np.where(np.arange(1000 + within) < 1000, 0.1, 0.1 + rise)
        live = (rng.random(len(chance)) < chance).astype(float)
        found.append(ever(RisingRisk, reference, live, np.log(1000)))
    assert np.mean(found) >= 0.5


def test_tallies_are_those_since_the_rise() -> None:
    """After 2,000 rows like the reference and 300 worse ones, about 300 are counted."""
    rng = np.random.default_rng(5)
    risk = RisingRisk(on_knots((rng.random(5000) < 0.1).astype(float)).sum(axis=0), 1)
    for rows, chance in ((2000, 0.1), (300, 0.5)):
        losses = (rng.random(rows) < chance).astype(float)
        risk.update(losses, np.ones((rows, 1), dtype=np.int64))
        if chance == 0.1:
            assert risk.since_change().tolist() == [2000]
    assert 200 <= int(risk.since_change()[0]) <= 450
    assert risk.tallied.tolist() == [2300]


def test_cuts_do_not_matter_and_a_state_goes_on() -> None:
    """One part, single rows, odd parts, and a fresh start from a state say the same."""
    rng = np.random.default_rng(6)
    reference = on_knots(rng.beta(2, 8, 400)).sum(axis=0)
    losses, ones = rng.beta(3, 7, 333), np.ones((333, 1), dtype=np.int64)
    whole = RisingRisk(reference, 1)
    whole.update(losses, ones)
    for size in (1, 7, 100):
        parts = RisingRisk(reference, 1)
        for at in range(0, 333, size):
            if at == 100:
                again = RisingRisk(reference, 1)
                again.restore({name: held.copy() for name, held in parts.state().items()})
                parts = again
            parts.update(losses[at : at + size], ones[at : at + size])
        assert parts.log_wealth() == pytest.approx(whole.log_wealth(), rel=1e-9)
        assert parts.since_change().tolist() == whole.since_change().tolist()
    with pytest.raises(ValueError, match="shape"):
        RisingRisk(reference, 2).restore(whole.state())


def test_a_small_reference_can_prove_little() -> None:
    """Three rows without a loss, then losses only: no more than the three rows allow."""
    risk = RisingRisk(on_knots(np.zeros(3)).sum(axis=0), 0)
    risk.update(np.ones(500), none(500))
    assert 0 < risk.log_wealth() < np.log(20)
    large = RisingRisk(on_knots(np.zeros(3000)).sum(axis=0), 0)
    large.update(np.ones(500), none(500))
    assert large.log_wealth() > 100


def test_in_the_detector_mode_minutes_begin_bets() -> None:
    """The statistic stays in the order of the minutes while the risk stays, and soon leaves it."""
    rng = np.random.default_rng(7)
    reference = on_knots((rng.random(2000) < 0.1).astype(float)).sum(axis=0)
    risk = RisingRisk(reference, 0, AlarmMode.DETECTOR)
    for minute in range(1, 300):
        risk.update((rng.random(20) < 0.1).astype(float), none(20), minute)
    assert risk.log_wealth() < np.log(299 * 100)
    for minute in range(300, 330):
        risk.update((rng.random(20) < 0.4).astype(float), none(20), minute)
    assert risk.log_wealth() > np.log(299 * 1000)


def test_the_mean_over_minutes_is_no_more_than_the_minutes() -> None:
    """In the detector mode, over all outcomes of three reference rows and three live minutes."""
    for mean in (0.1, 0.5):
        total = 0.0
        for outcome in product((0.0, 1.0), repeat=6):
            reference, live = np.array(outcome[:3]), np.array(outcome[3:])
            risk = RisingRisk(on_knots(reference).sum(axis=0), 0, AlarmMode.DETECTOR, block=1)
            for minute, loss in enumerate(live, start=1):
                risk.update(np.array([loss]), none(1), minute)
            likely = float(np.prod(stats.bernoulli.pmf(outcome, mean)))
            total += likely * float(np.exp(risk.log_wealth()))
        assert total <= 3 + 1e-9
