"""What is folded into the evidence of a rollout from the reports of its gateways."""

from __future__ import annotations

import json

import pytest

from configs.policy import Metric
from registry.records import Route
from serve.control.reports import Increment
from serve.rollout.course import Course
from serve.rollout.guardrails import SignalsSeen, judge
from serve.rollout.tallies import JudgedArm, Report, Tally
from tests.serve.rollout.cases import START, rollout
from tests.serve.rollout.judged import ROLLOUT, judged
from tests.serve.versions import MODEL

LATE = Metric.LATENCY_OVER_SLO
POLICY = {"guardrails": [{"metric": LATE.value, "margin_abs": 0.005, "cluster_s": 0}]}


def routed(objective_s: float | None) -> Route:
    """Half of the traffic each for candidate and baseline."""
    table = judged(1, {1: 5000, 2: 5000}, baseline_bp=5000, objective_s=objective_s)
    return table.models[MODEL].route


@pytest.mark.parametrize("restarted", [False, True])
def test_units_that_came_before_an_objective_were_not_in_time(restarted: bool) -> None:
    """However many: where nothing can be late, no version is shown to be fast."""
    judged_here = rollout(id=ROLLOUT, policy=json.dumps(POLICY))
    course = Course(judged_here, None)
    each = {JudgedArm.CANDIDATE: Tally(5000), JudgedArm.BASELINE: Tally(5000)}

    def units_and_good(generation: int, objective_s: float | None) -> tuple[int, bool]:
        nonlocal course
        report = Report("g1", ROLLOUT, {generation: each})
        routes = {generation: routed(objective_s)}
        course.fold({"g1": report}, Increment({generation: each}), routes, START)
        if restarted:
            course = Course(judged_here, course.snapshot())
        found, *_ = judge(course.evidence, course.policy, True, SignalsSeen())
        return found.units[JudgedArm.CANDIDATE], found.good

    assert units_and_good(1, None) == (0, False)
    assert units_and_good(2, 0.1) == (5000, True)


def test_that_some_are_not_counted_outlives_a_restart() -> None:
    """If one process leaves units out, that is so for the whole rollout."""
    judged_here = rollout(id=ROLLOUT, policy=json.dumps(POLICY))
    course = Course(judged_here, None)
    for name, leaves_out in (("a", False), ("b", True)):
        report = Report(name, ROLLOUT, leaves_out=leaves_out)
        course.fold({name: report}, Increment(), {}, START)
        assert course.leaves_out is leaves_out

    assert Course(judged_here, course.snapshot()).leaves_out
