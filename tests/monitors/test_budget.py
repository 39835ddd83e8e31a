"""The budget of false alarms: what each subject needs, and what is promised for it."""

from math import exp, log

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy import stats

from configs.settings import AlarmMode, Monitors
from monitors.budget import Budget, arming_share
from monitors.stats.martingale import StartMixture
from monitors.stats.starts import MinuteStarts

EQUAL = np.full(4, 0.25)


def test_armings_spend_no_more_than_there_is() -> None:
    """All armings together, up to the ten thousandth and beyond, spend one budget, nearly whole."""
    shares = [arming_share(k) for k in range(1, 10_001)]
    rest = 0.2 * 6 / np.pi**2 / 10_000
    assert shares[0] == 0.8
    assert 0.9999 < sum(shares) <= 1.0
    assert sum(shares) + rest == pytest.approx(1.0, abs=1e-8)


def test_a_subject_needs_the_reciprocal_of_its_part() -> None:
    """With a quarter of 1 %, an e-value of 400 alarms and one of 399 does not."""
    budget = Budget.of(Monitors(alarm_budget=0.01))
    for e, alarms in ((400.1, True), (399.9, False)):
        log_e = np.log(np.array([e, 1.0, 1.0, 1.0]))
        assert budget.passed(log_e, EQUAL).tolist() == [alarms, False, False, False]


def test_after_a_first_alarm_others_need_less() -> None:
    """A second subject at half of what the first needs alarms with it, but not by itself."""
    budget = Budget.of(Monitors(alarm_budget=0.01))
    assert budget.passed(np.log([500.0, 210.0, 1.0, 1.0]), EQUAL).tolist()[:2] == [True, True]
    assert not budget.passed(np.log([390.0, 210.0, 1.0, 1.0]), EQUAL).any()


def test_importance_buys_less_need_of_evidence() -> None:
    """Three quarters of the budget need 133, a twelfth needs 1,200."""
    budget = Budget.of(Monitors(alarm_budget=0.01))
    parts = np.array([0.75, 1 / 12, 1 / 12, 1 / 12])
    assert budget.passed(np.log([134.0, 1, 1, 1]), parts)[0]
    assert not budget.passed(np.log([1, 1199.0, 1, 1]), parts).any()
    assert budget.passed(np.log([1, 1201.0, 1, 1]), parts)[1]


def test_without_a_part_nothing_alarms() -> None:
    """Whoever was not counted when the budget was shared out cannot spend of it."""
    budget = Budget.of(Monitors())
    assert not budget.passed(np.array([1e6, 0.0]), np.array([0.0, 1.0])).any()
    assert budget.passed(np.zeros(0), np.zeros(0)).shape == (0,)


def test_the_detector_mode_needs_twice_the_time_in_minutes() -> None:
    """At one false alarm in ten days and half of the budget: 2 x 2 x 14,400, each by itself."""
    settings = Monitors(alarm_mode=AlarmMode.DETECTOR, false_alarm_days=10)
    budget = Budget.of(settings)
    assert exp(budget.log_alone) == pytest.approx(2 * 14_400)
    needed = log(4 * 14_400)
    halves = np.full(2, 0.5)
    assert budget.passed(np.array([needed + 0.01, needed - 0.01]), halves).tolist() == [True, False]


def test_the_detector_mode_keeps_its_time_between_false_alarms() -> None:
    """2,000 runs of 300 clean minutes: no more alarm than t / T allows, and a broken one does.

    Four streams that are all the same, the worst dependence; one bet on normal scores a minute.
    """
    budget = Budget(AlarmMode.DETECTOR, log(2 * 500.0))
    for fair in (True, False):
        alarms = sum(budget.passed(np.full(4, each), EQUAL).any() for each in _highest(2000, fair))
        allowed = stats.binom.ppf(0.999, 2000, 300 / (2 * 500.0))
        assert bool(alarms <= allowed) is fair, alarms


def _highest(runs: int, fair: bool) -> NDArray[np.float64]:
    """The highest statistic of each run, as a logarithm; an unfair bet is not paid for."""
    rng = np.random.default_rng(3)
    theta = np.array([0.5, 1.0])
    mixture = StartMixture(runs, np.full(2, 0.5), MinuteStarts())
    highest = np.full(runs, -np.inf)
    for minute in range(300):
        z = rng.standard_normal(runs)
        log_e = theta * z[:, None] - (theta**2 / 2 if fair else 0.0)
        mixture.starts.at(minute)
        mixture.update(log_e[:, :, None])
        highest = np.maximum(highest, mixture.log_wealth())
    return highest
