"""What is shown beside the guardrails is in words, and decides nothing."""

from __future__ import annotations

import pytest

from configs.policy import Policy
from serve.rollout.objective import objective_s
from serve.rollout.paired import PairsSeen
from serve.rollout.shown import NOTHING, Within, shown
from serve.rollout.tallies import LATENCY_BOUNDS, JudgedArm, Pairs, Times

CANDIDATE, BASELINE, STABLE = JudgedArm


def took(none: int = 0, **answers: int) -> Times:
    """Answers by the place of their bucket, such as `b20=3`."""
    counts = [0] * (len(LATENCY_BOUNDS) + 1)
    for place, count in answers.items():
        counts[int(place[1:])] = count
    return Times(tuple(counts), none)


def test_an_arm_says_within_what_time_its_answers_come() -> None:
    """By the ends of buckets, and how surely; an arm that has none says nothing."""
    latency = {STABLE: took(b20=9000, b22=1000), CANDIDATE: took(b20=100), BASELINE: took()}

    candidate, stable = shown(latency, PairsSeen()).times

    assert (candidate.arm, stable.arm, stable.answers, stable.none) == (
        CANDIDATE,
        STABLE,
        10_000,
        0,
    )
    ends = LATENCY_BOUNDS[19], LATENCY_BOUNDS[20], LATENCY_BOUNDS[22]
    assert stable.within[0] == Within(0.5, ends[1], ends[0], ends[1])
    assert stable.within[1] == Within(0.95, ends[2], LATENCY_BOUNDS[21], ends[2])
    assert candidate.within[2] == Within(0.99, ends[1], ends[0], None)
    assert candidate.says == (
        "candidate, 100 answers: 50 % within 8.7 ms (6.9 ms to 8.7 ms), "
        "95 % within 8.7 ms (more than 6.9 ms), 99 % within 8.7 ms (more than 6.9 ms)"
    )


def test_answers_that_never_came_are_the_longest() -> None:
    """So that a version that hangs does not look fast; and they do not make others late."""
    latency = {STABLE: took(b20=900, none=100)}

    (stable,) = shown(latency, PairsSeen()).times

    assert (stable.answers, stable.none) == (900, 100)
    assert stable.within[1] == Within(0.95, None, LATENCY_BOUNDS[-1], None)
    assert stable.within[1].says == "more than 52 s"
    assert stable.says.endswith("; 100 more requests had none in time")
    assert objective_s(Policy(), latency) == LATENCY_BOUNDS[20]


@pytest.mark.parametrize("arm", [CANDIDATE, BASELINE])
def test_the_objective_is_that_of_the_stable_arm(arm: JudgedArm) -> None:
    """Another arm's answers fix nothing."""
    assert objective_s(Policy(), {arm: took(b20=1000)}) is None


def test_the_change_of_scores_has_an_interval_where_scores_are_chances() -> None:
    """In words; else the reason why there is none."""
    seen = PairsSeen().folded(Pairs(2000, 5, 20.0, 2.0, scored=2000))
    change = shown({}, seen).score_change
    assert change is not None
    assert change.lower is not None
    assert change.upper is not None
    assert change.estimate == 0.01
    assert -0.01 < change.lower < 0.01 < change.upper < 0.03
    assert change.says == (
        f"with the candidate scores changed by +0.01 on average over 2,000 compared answers "
        f"({change.lower:+.2g} to {change.upper:+.2g}, if all scores lie between 0 and 1)"
    )

    beyond = seen.folded(Pairs(10, 0, 50.0, 250.0, scored=10, beyond=10))
    change = shown({}, beyond).score_change
    assert change is not None
    assert (change.rows, change.lower, change.upper) == (2010, None, None)
    assert "no interval, as 10 of them have a score that is not between 0 and 1" in change.says

    none = shown({}, PairsSeen().folded(Pairs(7))).score_change
    assert none is not None
    assert (none.rows, none.estimate) == (0, None)
    assert none.says == "of 7 compared answers none has a score in both versions"


def test_nothing_is_shown_of_nothing() -> None:
    """Before anything was counted."""
    assert shown({}, PairsSeen()) == NOTHING
