"""Other tools' rules do what their documents say."""

from __future__ import annotations

import numpy as np
import pytest

from configs.policy import Metric
from serve.rollout.rivals.argo import Argo
from serve.rollout.rivals.flagger import Flagger
from serve.rollout.rivals.rule import Rule
from serve.rollout.rivals.sagemaker import SageMaker
from serve.rollout.simulation.outcomes import End
from serve.rollout.simulation.rival_runs import run_rival
from serve.rollout.simulation.setting import Setting
from serve.rollout.simulation.traffic import Requests, Traffic

GOOD, ERRORS, SLOW, EMPTY = (1000, 2, 2), (1000, 50, 2), (1000, 2, 50), (0, 0, 0)
RULES = [Flagger, Argo, SageMaker]


def play(rule: Rule, *windows: tuple[int, int, int]) -> tuple[End, float, int]:
    """The end under some windows, of which the last goes on; with its minute and its weight."""
    now_s = 0.0
    for number in range(1000):
        all_of, failed, slow = windows[min(number, len(windows) - 1)]
        now_s += rule.interval_s
        rule.look(now_s, Requests(*(np.array([each]) for each in (all_of, failed, slow, all_of))))
        if rule.end[0] != End.OPEN:
            break
    return End(int(rule.end[0])), now_s / 60, int(rule.weight_bp[0])


def test_flagger_takes_interval_times_weight_by_step_to_promote() -> None:
    """Its documents: `interval * (maxWeight / stepWeight)`, here 10 steps of a minute."""
    assert play(Flagger(1), GOOD) == (End.PROMOTED, 10, 5000)


@pytest.mark.parametrize("window", [ERRORS, SLOW, EMPTY])
def test_flagger_takes_interval_times_threshold_to_roll_back(window: tuple[int, int, int]) -> None:
    """Its documents: `interval * threshold`; no values are a failed check."""
    assert play(Flagger(1), window) == (End.ROLLED_BACK, 10, 500)


def test_flaggers_failed_checks_are_never_forgiven() -> None:
    """Nine bad minutes and a good one, then one more bad minute."""
    assert play(Flagger(1), *[ERRORS] * 9, GOOD, ERRORS)[:2] == (End.ROLLED_BACK, 11)


def test_argo_goes_up_every_ten_minutes_and_then_promotes() -> None:
    """20, 40, 60 and 80 %."""
    assert play(Argo(1), GOOD) == (End.PROMOTED, 40, 8000)


@pytest.mark.parametrize("window", [ERRORS, SLOW, EMPTY])
def test_argo_fails_at_the_third_failed_measurement(window: tuple[int, int, int]) -> None:
    """Of one metric, in a row or not; what is not a number fails."""
    assert play(Argo(1), window)[:2] == (End.ROLLED_BACK, 15)
    assert play(Argo(1), window, GOOD, window, GOOD, window)[:2] == (End.ROLLED_BACK, 25)
    assert play(Argo(1), ERRORS, SLOW, ERRORS, SLOW, GOOD)[0] is End.PROMOTED


def test_sagemaker_bakes_twice_and_needs_two_breaching_periods() -> None:
    """Missing data do not breach."""
    assert play(SageMaker(1), GOOD)[:2] == (End.PROMOTED, 20)
    assert play(SageMaker(1), EMPTY)[:2] == (End.PROMOTED, 20)
    assert play(SageMaker(1), ERRORS, GOOD, ERRORS, GOOD)[0] is End.PROMOTED
    assert play(SageMaker(1), GOOD, SLOW, SLOW)[:2] == (End.ROLLED_BACK, 15)


@pytest.mark.parametrize("rule", RULES)
def test_every_rule_promotes_the_good_and_not_the_broken(rule: type[Flagger]) -> None:
    """In calm traffic, of which there is much."""
    setting = Setting(rollouts=20, horizon_s=3600.0)
    good = run_rival(rule(20), Traffic(), setting)
    assert good.share(End.PROMOTED).value == 1.0
    broken = run_rival(rule(20), Traffic(worse={Metric.ERROR_RATIO: 50.0}), setting)
    assert broken.share(End.ROLLED_BACK).value == 1.0
    assert broken.exposed.max() < good.exposed.min() * 2
