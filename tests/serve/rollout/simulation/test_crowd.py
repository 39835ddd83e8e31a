"""Many rollouts at once are judged as each is alone."""

from __future__ import annotations

from math import log

import numpy as np
import pytest

from configs.policy import Guardrail, HardLimit, Metric, Policy
from serve.rollout.evidence import Evidence, fold
from serve.rollout.guardrails import SignalsSeen, judge, split_is_suspect
from serve.rollout.simulation.counts import ARMS, Counts, Ints
from serve.rollout.simulation.crowd import Crowd

POLICY = Policy(
    guardrails=(
        Guardrail(metric=Metric.ERROR_RATIO, margin_abs=0.05),
        Guardrail(metric=Metric.INVALID_OUTPUT, margin_rel=0.5),
        Guardrail(metric=Metric.LATENCY_OVER_SLO, margin_rel=1.0),
    ),
    hard_limits=(HardLimit(metric=Metric.ERROR_RATIO), HardLimit(metric=Metric.INVALID_OUTPUT)),
)
METRICS = (Metric.ERROR_RATIO, Metric.INVALID_OUTPUT, Metric.LATENCY_OVER_SLO)
SPLITS = ((500, 500, 9000), (2500, 2500, 5000), (9500, 0, 500))


def counted(rng: np.random.Generator, split: Ints, worse: float) -> Counts:
    """Some units, of which some have an event at once and others later."""
    shares = np.array(SPLITS)[split] / 10_000
    units = rng.poisson(40 * shares)
    chance = np.minimum(0.1 * np.array([worse, 1.0, 1.0]), 1.0)
    trials = {metric: rng.binomial(units, chance) for metric in METRICS}
    later = {metric: rng.binomial(rng.poisson(10 * shares), chance) for metric in METRICS}
    return Counts(units, trials, {metric: trials[metric] + later[metric] for metric in METRICS})


@pytest.mark.parametrize("worse", [0.5, 1.0, 3.0, 9.0])
def test_the_evidence_of_a_crowd_is_that_of_each_rollout(worse: float) -> None:
    """Over steps, hours, and stretches in which only some count."""
    rng, rollouts = np.random.default_rng(1), 5
    crowd = Crowd(POLICY, SPLITS, rollouts, same_behaviour=True, length_s=1.0)
    alone = [Evidence.begin(POLICY) for _ in range(rollouts)]
    every = np.arange(rollouts)
    for stretch in range(60):
        rows = np.flatnonzero(rng.random(rollouts) < 0.8)
        split = np.minimum(stretch // 20 + rng.integers(0, 2, rollouts), 2)[rows]
        counts = counted(rng, split, worse)
        minutes = np.full(len(rows), stretch * 17)
        crowd.fold(rows, split, counts, split, minutes)
        for at, row in enumerate(rows):
            shares = dict(zip(ARMS, SPLITS[split[at]], strict=True))
            at_s = 60.0 * 17 * stretch
            alone[row] = fold(alone[row], shares, counts.of(at), int(split[at]), at_s)
        findings = [judge(each, POLICY, True, SignalsSeen(), shown=False) for each in alone]
        for at, metric in enumerate(METRICS):
            of_metric = [each[at] for each in findings]
            guard = crowd.guards[metric]
            harm = [each.harm_log10 for each in of_metric]
            good = [each.good_log10 for each in of_metric]
            np.testing.assert_allclose(guard.log_harm(every) / log(10), harm, atol=1e-9)
            np.testing.assert_allclose(guard.log_good(every) / log(10), good, atol=1e-9)
        harmful = [any(each.harmful for each in of_one) for of_one in findings]
        proved = [all(each.good for each in of_one[:3]) for of_one in findings]
        assert crowd.harmful(every).tolist() == harmful
        assert crowd.good(every).tolist() == proved
        suspect = [split_is_suspect(each, POLICY) for each in alone]
        assert crowd.suspect(every).tolist() == suspect
    assert all(harmful) == (worse > 1)
    assert any(proved) == (worse < 1)


def test_looking_after_every_event_ends_where_one_look_does() -> None:
    """But for bets that begin in between; harm that is seen at any look is said."""
    rng, rollouts = np.random.default_rng(2), 40
    one, other = (
        Crowd(POLICY, SPLITS, rollouts, same_behaviour=True, length_s=1.0) for _ in range(2)
    )
    every, first = np.arange(rollouts), np.zeros(rollouts, np.int64)
    found = np.zeros(rollouts, bool)
    for _ in range(20):
        counts = counted(rng, first, 4.0)
        one.fold(every, first, counts, first, first)
        found |= other.fold_looking(every, first, counts, first, first, rng)
        assert not (other.harmful(every) & ~found).any()
    for metric in METRICS:
        ours, theirs = one.guards[metric], other.guards[metric]
        np.testing.assert_array_equal(ours.bad_events, theirs.bad_events)
        np.testing.assert_allclose(ours.log_good(every), theirs.log_good(every), atol=1e-9)
    assert found.any()
