"""Units that come again: some fail often, failures come in bursts, arms change with the ramp."""

from __future__ import annotations

from dataclasses import dataclass, replace
from itertools import product
from math import exp, log

import numpy as np
import pytest

from configs.policy import Guardrail, Metric, Policy
from serve.rollout.between_arms import log_goodness
from serve.rollout.evidence import Evidence, fold
from serve.rollout.tallies import JudgedArm, Tally
from tests.monitors.stats.fair import assert_alarms_within
from tests.serve.rollout.test_evidence import shares

METRIC = Metric.INVALID_OUTPUT
POLICY = Policy(guardrails=(Guardrail(metric=METRIC, margin_rel=1.0),), hard_limits=())
STEPS = (0.05, 0.25, 0.5)
LOOKS = 60


@dataclass(frozen=True)
class Users:
    """So many users, of whom some come from the beginning; the candidate fails `times` as often.

    `spread` is how unlike they are, `steps` the candidate's shares.
    """

    count: int = 1500
    times: float = 1.0
    latest: float = 0.7
    chance: float = 0.05
    spread: float = 1.0
    steps: tuple[float, ...] = STEPS


def stream(seed: int, users: Users) -> list[tuple[float, dict[JudgedArm, Tally]]]:
    """By look: the candidate's share, and what units seen first and their first failures were."""
    rng = np.random.default_rng([71, seed])
    frailty = users.chance * rng.lognormal(-users.spread / 2, users.spread, users.count)
    place = rng.random(users.count)
    # Most come from the beginning on, others during the rollout; one pause in which nobody comes.
    arrives = np.maximum(0, rng.random(users.count) * LOOKS * users.latest - 5).astype(int)
    seen, failed = np.zeros(users.count, bool), np.zeros(users.count, bool)
    looks = []
    for at in range(LOOKS):
        share = users.steps[at * len(users.steps) // LOOKS]
        burst = 4.0 if at % 11 in {3, 4} else 0.7
        ours = place < share
        asks = (arrives <= at) & (rng.random(users.count) < 0.6) & (at not in range(25, 30))
        chance = np.minimum(0.9, frailty * burst * np.where(ours, users.times, 1.0))
        fails = asks & (rng.random(users.count) < chance)
        tallies = {}
        for arm, mask in ((JudgedArm.CANDIDATE, ours), (JudgedArm.STABLE, ~ours)):
            new, first = asks & ~seen & mask, fails & ~failed & mask
            counts = (int(new.sum()), int((fails & new).sum()), int(first.sum()))
            tallies[arm] = Tally(counts[0], {METRIC: counts[1]}, {METRIC: counts[2]})
        seen |= asks
        failed |= fails
        looks.append((share, tallies))
    return looks


def ever(seed: int, users: Users, good: bool, all_as_first: bool = False) -> bool:
    """Whether an e-value reaches ten at some look.

    Broken on purpose if first failures of all requests are taken for those of first requests.
    """
    evidence = Evidence.begin(POLICY)
    (guardrail,) = POLICY.guardrails
    for at, (share, counted) in enumerate(stream(seed, users)):
        tallies = counted
        if all_as_first:
            tallies = {arm: replace(each, trials=each.events) for arm, each in counted.items()}
        step = at * len(users.steps) // LOOKS
        evidence = fold(evidence, shares(share, 0.0), tallies, step, 420.0 * at)
        won = evidence.log_harm(METRIC)
        if good:
            won = log_goodness(evidence.trials(METRIC), guardrail)
        if won >= log(10):
            return True
    return False


@pytest.mark.parametrize("times", [1.0, 0.5, 0.1])
def test_a_harmless_version_seldom_seems_harmful(times: float) -> None:
    """As often wrong, half as often, a tenth: no more than the budget in 100 rollouts."""
    assert_alarms_within(0.1, 100, lambda seed: ever(seed, Users(times=times), good=False))


@pytest.mark.parametrize("times", [2.0, 3.0])
def test_a_version_at_its_margin_or_beyond_seldom_seems_good(times: float) -> None:
    """Twice as often and more; promotions no more than the budget in 100 rollouts."""
    users = Users(times=times)
    assert_alarms_within(0.1, 100, lambda seed: ever(seed, users, good=True))


def test_taking_all_first_failures_for_those_of_first_requests_is_found() -> None:
    """A better version seems harmful once others have no unit left that has not failed."""
    users = Users(times=0.3, latest=0.0, chance=0.2, spread=0.1, steps=(0.5,))
    assert_alarms_within(0.1, 40, lambda seed: ever(seed, users, good=False))
    with pytest.raises(AssertionError):
        assert_alarms_within(0.1, 40, lambda seed: ever(seed, users, False, all_as_first=True))


def test_taking_them_for_a_promotion_is_found_too() -> None:
    """A version that fails more has fewer units left to fail, and so seems good."""
    users = Users(times=2.0, latest=0.0)
    with pytest.raises(AssertionError):
        assert_alarms_within(0.1, 40, lambda seed: ever(seed, users, True, all_as_first=True))


CHANCES = (0.9, 0.6, 0.95)
"""Of three users to fail at each step, with the other arm."""

TWO_STEPS = (0.1, 0.5)


def mean_of_two_steps(times: float) -> float:
    """The mean e-value over all arms and failures of three users who come at both steps."""
    arms = [(place, chance) for place, chance in ((0.05, 0.1), (0.3, 0.4), (0.7, 0.5))]
    found = 0.0
    for places in product(arms, repeat=3):
        for failures in product(product((True, False), repeat=2), repeat=3):
            likely, evidence, failed = 1.0, Evidence.begin(POLICY), [False] * 3
            for step, share in enumerate(TWO_STEPS):
                counts = {arm: [0, 0, 0] for arm in (JudgedArm.CANDIDATE, JudgedArm.STABLE)}
                for user in range(3):
                    ours = places[user][0] < share
                    chance = CHANCES[user] * (times if ours else 1.0)
                    fails = failures[user][step]
                    likely *= (chance if fails else 1 - chance) * (
                        places[user][1] if step == 0 else 1.0
                    )
                    count = counts[JudgedArm.CANDIDATE if ours else JudgedArm.STABLE]
                    count[0] += step == 0
                    count[1] += fails and step == 0
                    count[2] += fails and not failed[user]
                    failed[user] |= fails
                tallies = {
                    arm: Tally(units, {METRIC: first}, {METRIC: events})
                    for arm, (units, first, events) in counts.items()
                }
                evidence = fold(evidence, shares(share, 0.0), tallies, step, 0)
            found += likely * exp(evidence.log_harm(METRIC))
    return found


@pytest.mark.parametrize("times", [1.0, 0.7, 0.3, 0.0])
def test_harm_of_users_who_come_again_has_a_mean_of_at_most_one(times: float) -> None:
    """All outcomes of three users, of whom some change arms; alike, just one."""
    found = mean_of_two_steps(times)
    assert found <= 1 + 1e-9
    if times == 1.0:
        assert found == pytest.approx(1.0)
