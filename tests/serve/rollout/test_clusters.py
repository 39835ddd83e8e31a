"""What befalls an arm within a moment is one mishap, however many answers are late by it."""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import replace
from itertools import product
from math import exp, inf, log
from typing import Any

import numpy as np
import pytest

from configs.policy import Guardrail, Metric, Policy
from monitors.stats.event_ratio import log_sum
from monitors.stats.mishap_bets import WORSE_STAKES
from monitors.stats.weighted_difference import Trials
from serve.rollout.between_arms import log_goodness
from serve.rollout.clusters import Clusters
from serve.rollout.evidence import FROM_START, Evidence, fold
from serve.rollout.guardrails import SignalsSeen, judge
from serve.rollout.tallies import JudgedArm, Tally
from tests.monitors.stats.outcomes import mean_when_stopped

LATE = Guardrail(metric=Metric.LATENCY_OVER_SLO, margin_rel=1.0)
BY_POINTS = Guardrail(metric=Metric.LATENCY_OVER_SLO, margin_abs=0.1)
UNITS = 200
HALVES = {JudgedArm.CANDIDATE: 5000, JudgedArm.BASELINE: 5000}
NOBODY = Trials(0.5, 0, 0, 0, 0)


def after(
    blocks: Iterable[tuple[int, int]], guardrail: Guardrail = LATE, units: int = UNITS
) -> Clusters:
    """A block a second, each with late answers of the candidate and of the baseline."""
    clusters, at_s = Clusters.of(guardrail).fold(NOBODY, 0, 0.0), 0.0
    for ours, theirs in blocks:
        at_s += 1.0
        clusters = clusters.fold(Trials(0.5, units, ours, units, theirs), 0, at_s)
    return clusters.fold(NOBODY, 0, at_s + 1.0)


def harm(clusters: Clusters) -> float:
    """The e-value that the candidate is worse."""
    anew = clusters.anew.log_evidence
    return exp(log_sum([log(FROM_START) + clusters.log_worse, log(1 - FROM_START) + anew]))


def test_latency_is_counted_so_unless_a_policy_says_otherwise() -> None:
    """And nothing else is, unless it says so; what it cannot be asked for is refused."""
    blocks = {each.metric: each.block_s for each in Policy().guardrails}
    assert {metric for metric, block_s in blocks.items() if block_s} == {Metric.LATENCY_OVER_SLO}
    assert Guardrail(metric=Metric.ERROR_RATIO, margin_abs=0.1, cluster_s=5.0).block_s == 5.0
    assert LATE.model_copy(update={"cluster_s": 0.0}).block_s == 0.0
    with pytest.raises(ValueError, match="cluster_s is for error_ratio, latency_over_slo, timeo"):
        Guardrail(metric=Metric.INVALID_OUTPUT, margin_abs=0.1, cluster_s=1.0)


def test_a_hundred_late_answers_at_once_say_no_more_than_one() -> None:
    """Nor in the block after, into which a mishap may last; then it is another one."""
    one = after([(1, 0)])
    assert harm(after([(100, 0)])) == pytest.approx(harm(one))
    assert harm(after([(60, 0), (40, 0)])) == pytest.approx(harm(one))
    assert harm(after([(1, 0), (0, 0), (1, 0)])) > 1.5 * harm(one)


@pytest.mark.parametrize("stop_at", [1.1, 2.0, inf])
def test_identical_versions_have_a_mean_of_one_whatever_hosts_do(stop_at: float) -> None:
    """All outcomes of four blocks, in which hosts make none, one or many of their answers late."""
    chances = ((0, 0.5), (1, 0.3), (25, 0.2))

    def of_block(before: tuple[Any, ...]) -> list[tuple[Any, float]]:
        del before
        return [
            ((ours, theirs), chance * other)
            for (ours, chance), (theirs, other) in product(chances, repeat=2)
        ]

    mean = mean_when_stopped(4, of_block, lambda blocks: harm(after(blocks)), stop_at)
    assert mean == pytest.approx(1.0)


@pytest.mark.parametrize("guardrail", [LATE, BY_POINTS], ids=["relative", "absolute"])
@pytest.mark.parametrize("stop_at", [1.1, inf])
def test_a_version_at_the_margin_is_shown_to_be_good_by_luck_alone(
    guardrail: Guardrail, stop_at: float
) -> None:
    """All outcomes of four blocks of a unit each, which is late twice as often, or by 0.1."""
    base = 0.2
    worse = base + 0.1 if guardrail is BY_POINTS else 2 * base

    def of_block(before: tuple[Any, ...]) -> list[tuple[Any, float]]:
        del before
        return [
            ((ours, theirs), (worse if ours else 1 - worse) * chance)
            for ours in (0, 1)
            for theirs, chance in ((0, 1 - base), (1, base))
        ]

    def good(blocks: tuple[Any, ...]) -> float:
        return exp(after(blocks, guardrail, units=1).log_good())

    assert mean_when_stopped(4, of_block, good, stop_at) == pytest.approx(1.0)


def test_a_mishap_that_goes_on_into_the_next_block_is_no_evidence_either() -> None:
    """All of five blocks in which hosts begin to stall, each for as long as a block."""
    mean = naive = 0.0
    begins = tuple(product((0, 1), repeat=2))
    for stalls in product(begins, repeat=5):
        likely = 1.0
        for ours, theirs in stalls:
            likely *= (0.4 if ours else 0.6) * (0.4 if theirs else 0.6)
        blocks = [
            (9 * max(now[0], before[0]), 9 * max(now[1], before[1]))
            for before, now in zip([(0, 0), *stalls], stalls, strict=False)
        ]
        clusters = after(blocks)
        mean += likely * exp(clusters.won[-1])
        won = 1.0
        for ours, theirs in blocks:
            won *= 1 + float(WORSE_STAKES[-1]) * ((ours > 0) - (theirs > 0))
        naive += likely * won
    assert mean == pytest.approx(1.0)
    assert naive > 1.5


def test_where_every_block_has_events_their_number_tells() -> None:
    """Twice as many late answers are found though both arms have some all the time."""
    rng = np.random.default_rng(2)
    worse = after(zip(rng.poisson(40, 150).tolist(), rng.poisson(20, 150).tolist(), strict=True))
    assert worse.block is not None
    assert 1 / 60 < worse.block.kept < 1 / 30
    assert harm(worse) > 667
    same = after(rng.poisson(20, (150, 2)).tolist())
    assert harm(same) < 3
    assert same.log_good() > log(20)


def test_hosts_that_stall_do_not_roll_identical_versions_back() -> None:
    """In 300 rollouts with sixty stalls, each of one arm; as single events, most would be."""
    rng, reached, counted = np.random.default_rng(3), 0, 0
    for _ in range(300):
        sides = rng.integers(0, 2, 60)
        blocks = [
            each
            for ours in sides.tolist()
            for each in ((10 * ours, 10 * (1 - ours)), (0, 0), (0, 0))
        ]
        most, clusters = 0.0, Clusters.of(LATE)
        for at, (ours, theirs) in enumerate(blocks):
            clusters = clusters.fold(Trials(0.5, UNITS, ours, UNITS, theirs), 0, float(at))
            most = max(most, harm(clusters))
        reached += most >= 10
        lead = 10 * np.cumsum(2 * sides - 1).max()
        counted += bool(lead >= 20)
    assert reached <= 30 + 15
    assert counted > 200


def test_a_block_lasts_until_both_arms_have_units() -> None:
    """However long that is: one arm alone says nothing of the two."""
    clusters = Clusters.of(LATE)
    for at in range(100):
        clusters = clusters.fold(Trials(0.5, 10, 10, 0, 0), 0, float(at))
    assert harm(clusters) == pytest.approx(1.0)
    clusters = clusters.fold(Trials(0.5, 0, 0, 1, 0), 0, 100.0)
    assert harm(clusters.fold(NOBODY, 0, 101.0)) > 1.1


def test_all_that_a_look_brings_is_of_one_block() -> None:
    """Also where it speaks of several generations of a route: one mishap is not two."""
    once, twice = Clusters.of(LATE), Clusters.of(LATE)
    for at in range(9):
        ours = 10 if at == 4 else 0
        once = once.fold(Trials(0.5, 200, 2 * ours, 200, 0), 0, float(at))
        for step in (0, 1):
            twice = twice.fold(Trials(0.5, 100, ours, 100, 0), step, float(at))
    assert harm(twice) == pytest.approx(harm(once))
    assert harm(once) > 1.1


def test_a_clock_that_goes_back_ends_no_evidence() -> None:
    """The block that it is in is a longer one."""
    clusters = after([(0, 0)])
    for at in range(30):
        clusters = clusters.fold(Trials(0.5, 10, 5, 10, 0), 0, at - 5000.0)
    assert harm(clusters) > 20


def test_an_arm_with_more_hosts_may_have_more_mishaps() -> None:
    """Of 19 hosts, each as good as the one that is left of the other arm."""
    rng, reached = np.random.default_rng(4), 0
    for _ in range(100):
        clusters, most = Clusters.of(LATE), 0.0
        for at in range(720):
            ours, theirs = rng.binomial((19, 1), 0.005).tolist()
            trials = Trials(0.95, 1900, 50 * ours, 100, 50 * theirs)
            clusters = clusters.fold(trials, 0, float(at))
            most = max(most, harm(clusters))
        reached += most >= 10
    assert reached <= 20


def test_units_that_fail_later_for_reasons_of_their_own_are_no_harm() -> None:
    """Where one arm's units have had their events, those of the other are still to come."""
    policy = Policy(guardrails=(LATE,), hard_limits=())
    evidence = Evidence.begin(policy)
    for at in range(200):
        late = {LATE.metric: 5 if at > 20 else 0}
        tallies = {JudgedArm.CANDIDATE: Tally(50, events=late), JudgedArm.BASELINE: Tally(50)}
        evidence = fold(evidence, HALVES, tallies, 0, float(at))
    assert evidence.log_harm(LATE.metric) == pytest.approx(0.0)


@pytest.mark.parametrize("by_events", [False, True])
def test_goodness_is_shown_by_late_answers_and_by_mishaps(by_events: bool) -> None:
    """Few mishaps that are large are not good, nor are many small ones."""
    policy = Policy(guardrails=(LATE,), hard_limits=())
    evidence = Evidence.begin(policy)
    for at in range(900):
        ours, theirs = (60 * (at % 60 == 0), int(at % 20 == 10))
        if by_events:
            ours, theirs = int(at % 3 == 0), 20 * (at % 30 == 10)
        counts = [{LATE.metric: each} for each in (ours, theirs)]
        tallies = {arm: Tally(100, each, each) for arm, each in zip(HALVES, counts, strict=True)}
        evidence = fold(evidence, HALVES, tallies, 0, float(at))
    (found,) = judge(evidence, policy, False, SignalsSeen())
    clusters = evidence.clusters[LATE.metric]
    events = log_goodness(evidence.trials(LATE.metric), LATE)
    assert (events >= log(20), clusters.log_good() >= log(20)) == (by_events, not by_events)
    assert not found.good


def test_it_goes_on_from_its_text_bit_by_bit() -> None:
    """Before the first block, and in the middle of one."""
    rng = np.random.default_rng(0)
    clusters = Clusters.of(LATE)
    for at in range(50):
        again = Clusters.of(LATE).read(json.loads(json.dumps(clusters.to_list())))
        assert again == clusters
        ours, theirs = rng.poisson(2, 2).tolist()
        trials = Trials(0.5, UNITS, ours, UNITS, theirs)
        clusters = clusters.fold(trials, at // 9, 0.4 * at)
    assert clusters.block is not None
    assert replace(clusters, block=None).log_worse != 0.0
