"""What a gateway counts of a judged route: units once, first events, by arm and generation."""

from __future__ import annotations

import threading
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import httpx
import pytest

from configs.errors import ModelFailed
from configs.policy import Policy
from configs.settings import Limits, Settings
from registry.records import FULL
from serve.models.frames import Tensors
from serve.rollout.evidence import Evidence, fold
from serve.rollout.guardrails import split_is_suspect
from serve.rollout.tallies import LATENCY_BOUNDS, JudgedArm, Tally, Times
from serve.rollout.units import Share
from tests.serve.edge.test_http import INFER, row
from tests.serve.rollout.judged import (
    ALL_CANDIDATE,
    ALL_STABLE,
    ALMOST_STABLE,
    CANDIDATE,
    STABLE,
    ask,
    events,
    judged,
    not_a_number,
    report,
    reports,
    tally,
    times,
    value,
    who,
)
from tests.serve.stage import Stage, stage
from tests.serve.versions import MODEL, run_of, table
from tests.serve.waiting import PATIENCE_S, wait_until

DEADLINE_S = 20.0
"""Long: what answers here has half of it, also on a machine that stands still for seconds."""
SOON_S = 4.0
"""The deadline where something takes that long."""


class Moody:
    """A model that does as it is told: answers, fails or takes its time."""

    def __init__(self) -> None:
        self.says = run_of(CANDIDATE)
        self.fails = False
        self.takes_s = 0.0
        self.may_answer = threading.Event()
        self.may_answer.set()

    def run(self, tensors: Tensors) -> Tensors:
        """Answer as the regressor does, or fail."""
        if self.fails:
            raise ModelFailed("the model failed")
        time.sleep(self.takes_s)
        self.may_answer.wait(PATIENCE_S)
        return self.says(tensors)


@pytest.fixture
def candidate() -> Moody:
    """The model of version 2."""
    return Moody()


@pytest.fixture
def served(tmp_path: Path, candidate: Moody) -> Iterator[Stage]:
    """A gateway with a host of the stable version and one of the candidate."""
    settings = Settings(limits=Limits(drain_s=1.0, deadline_s=DEADLINE_S))
    with stage(tmp_path, settings=settings) as opened:
        opened.start_host(STABLE)
        opened.start_host(CANDIDATE, candidate.run)
        opened.apply(table(0, {STABLE: FULL}))  # It was there before the rollout.
        yield opened


def test_nothing_is_counted_where_nothing_is_judged(served: Stage) -> None:
    """A route of old has no reports."""
    served.apply(table(1, {STABLE: 5000, CANDIDATE: 5000}))

    assert ask(served, "someone").status_code == 200
    assert reports(served) == ()


def test_requests_without_a_key_are_units_of_their_own(served: Stage) -> None:
    """Each arm counts those that it answered."""
    served.apply(judged(1, {STABLE: 5000, CANDIDATE: 5000}))
    with httpx.Client(base_url=served.url, trust_env=False) as client:
        versions = Counter(
            client.post(INFER, json=row(1, 2, 3)).headers["weir-version"] for _ in range(60)
        )

    assert min(versions.values()) > 0
    assert tally(served, JudgedArm.STABLE) == Tally(versions["1"], events(), events())
    assert tally(served, JudgedArm.CANDIDATE) == Tally(versions["2"], events(), events())
    assert tally(served, JudgedArm.BASELINE) == Tally(0, events(), events())


def test_a_unit_is_counted_once_with_its_first_event(served: Stage, candidate: Moody) -> None:
    """An event after the first request is no trial, and the second of a kind is no event."""
    served.apply(judged(1, ALL_CANDIDATE))

    ask(served, "ada")
    for candidate.fails in (True, True):
        ask(served, "ada")
    ask(served, "bob")
    ask(served, "bob")

    assert tally(served, JudgedArm.CANDIDATE) == Tally(
        2, events(error_ratio=1), events(error_ratio=2)
    )


def test_units_are_known_from_generation_to_generation(served: Stage, candidate: Moody) -> None:
    """A unit that was seen before is counted in no later stretch; its first event is."""
    served.apply(judged(1, ALMOST_STABLE))
    ask(served, "ada")
    wait_until(lambda: tally(served, JudgedArm.STABLE).units == 1, "it is counted")
    candidate.fails = True
    served.apply(judged(2, ALL_CANDIDATE))
    ask(served, "ada")
    ask(served, "bob")

    assert tally(served, JudgedArm.STABLE, 1) == Tally(1, events(), events())
    assert tally(served, JudgedArm.CANDIDATE, 2) == Tally(
        1, events(error_ratio=1), events(error_ratio=2)
    )


def test_who_came_while_the_candidate_was_a_shadow_is_new_to_it(
    served: Stage, candidate: Moody
) -> None:
    """Else nobody who comes again could ever be compared."""
    served.apply(judged(1, ALL_STABLE, shadow_bp=FULL))
    ask(served, "ada")
    wait_until(lambda: report(served).pairs.rows == 1, "the pair is counted")
    candidate.fails = True
    served.apply(judged(2, ALL_CANDIDATE))
    ask(served, "ada")

    once = events(error_ratio=1)
    assert tally(served, JudgedArm.STABLE, 1) == Tally(0, events(), events())
    assert tally(served, JudgedArm.CANDIDATE, 2) == Tally(1, once, once)


def test_a_replica_that_comes_later_leaves_units_with_a_key_out(tmp_path: Path) -> None:
    """It does not know whom its predecessor has counted; those without a key are new anywhere."""
    with stage(tmp_path) as opened:
        opened.start_host(STABLE)
        opened.start_host(CANDIDATE)
        for generation in (1, 2):
            opened.apply(judged(generation, ALL_CANDIDATE))
            ask(opened)
            assert report(opened).leaves_out is (generation > 1)
            ask(opened, "ada")

            assert report(opened).leaves_out
            assert tally(opened, JudgedArm.CANDIDATE, generation) == Tally(1, events(), events())

        opened.apply(judged(3, ALL_CANDIDATE, rollout="next"))
        ask(opened, "ada")
        assert tally(opened, JudgedArm.CANDIDATE, 3) == Tally(1, events(), events())


def test_a_replica_that_comes_before_the_candidate_counts_units_with_a_key(tmp_path: Path) -> None:
    """Nobody can have counted them while it was a shadow."""
    with stage(tmp_path) as opened:
        opened.start_host(STABLE)
        opened.start_host(CANDIDATE)
        opened.apply(judged(1, ALL_STABLE))
        opened.apply(judged(2, ALL_CANDIDATE))
        ask(opened, "ada")

        assert tally(opened, JudgedArm.CANDIDATE, 2) == Tally(1, events(), events())


def test_another_rollout_knows_nobody(served: Stage) -> None:
    """What was counted for a rollout that is over is forgotten."""
    served.apply(judged(1, ALMOST_STABLE, rollout="one"))
    ask(served, "ada")
    first = report(served)
    served.apply(judged(2, ALMOST_STABLE, rollout="two"))
    ask(served, "ada")

    second = report(served)
    assert (first.rollout, second.rollout) == ("one", "two")
    assert second.source != first.source
    assert second.stretches.keys() == {2}
    assert second.stretches[2][JudgedArm.STABLE].units == 1
    served.apply(table(3, {STABLE: FULL}))
    assert reports(served) == ()


def test_pinned_requests_do_not_count(served: Stage, candidate: Moody) -> None:
    """Who asks for a version by its number gets it as it is, error and all."""
    candidate.fails = True
    served.apply(judged(1, ALL_CANDIDATE))

    path = INFER.replace("/infer", f"/versions/{CANDIDATE}/infer")
    reply = httpx.post(served.url + path, json=row(1, 2, 3), trust_env=False)

    assert (reply.status_code, reply.json()["code"]) == (500, "model_failed")
    assert tally(served, JudgedArm.CANDIDATE).units == 0


@pytest.mark.parametrize(
    ("weights", "arm"),
    [
        pytest.param(ALL_CANDIDATE, JudgedArm.CANDIDATE, id="candidate"),
        pytest.param({CANDIDATE: FULL, STABLE: 0}, JudgedArm.CANDIDATE, id="candidate-as-stable"),
    ],
)
def test_a_late_answer_is_an_event(
    served: Stage, candidate: Moody, weights: dict[int, int], arm: JudgedArm
) -> None:
    """It counts, and goes to the client."""
    candidate.takes_s = 0.1
    served.apply(judged(1, weights, objective_s=0.05))

    reply = ask(served)

    assert (reply.status_code, who(reply)[0]) == (200, "2")
    wait_until(lambda: bool(tally(served, arm).units), "it is counted")
    assert tally(served, arm).events == events(latency_over_slo=1)


def test_arms_have_the_same_time(tmp_path: Path) -> None:
    """An answer of the stable version that a candidate would not have had time for is late too."""
    slow = Moody()
    slow.takes_s = SOON_S / 2 + 0.1
    settings = Settings(limits=Limits(drain_s=1.0, deadline_s=SOON_S))
    with stage(tmp_path, settings=settings) as opened:
        opened.start_host(STABLE, slow.run)
        opened.apply(judged(1, {STABLE: FULL}, objective_s=0.5))

        assert ask(opened).status_code == 200
        wait_until(
            lambda: (
                tally(opened, JudgedArm.STABLE).events
                == events(timeout_ratio=1, latency_over_slo=1)
            ),
            "the event is counted",
        )


def test_one_replica_of_several_counts_a_unit(served: Stage) -> None:
    """Units with a key belong to a slot; whoever accepts on it counts them, and nobody else."""
    served.apply(judged(1, ALMOST_STABLE))
    keys = [f"client-{number}" for number in range(40)]
    counted = []
    for slots in ({0}, {0}, {1}):
        served.gateway.share = Share(slots, 2)
        for key in keys:
            ask(served, key)
        counted.append(tally(served, JudgedArm.STABLE).units)

    assert 0 < counted[0] < len(keys)
    assert counted[1:] == [counted[0], len(keys)]


def test_a_unit_waits_until_its_outcome_is_known(served: Stage, candidate: Moody) -> None:
    """It is among the units when it is known whether it had an event, and not before."""
    candidate.may_answer.clear()
    served.apply(judged(1, ALL_CANDIDATE))
    asking = threading.Thread(target=ask, args=(served,))
    asking.start()
    wait_until(lambda: tally(served, JudgedArm.CANDIDATE).waiting == 1, "it has been sent")

    assert tally(served, JudgedArm.CANDIDATE).units == 0
    candidate.may_answer.set()
    asking.join()
    assert tally(served, JudgedArm.CANDIDATE) == Tally(1, events(), events(), waiting=0)


def test_a_late_outcome_belongs_to_the_generation_of_its_request(
    served: Stage, candidate: Moody
) -> None:
    """The shares that it was drawn by are those of that generation."""
    candidate.may_answer.clear()
    served.apply(judged(1, ALL_CANDIDATE))
    asking = threading.Thread(target=ask, args=(served,))
    asking.start()
    wait_until(lambda: tally(served, JudgedArm.CANDIDATE).waiting == 1, "it has been sent")
    served.apply(judged(2, ALL_STABLE))
    candidate.may_answer.set()
    asking.join()

    assert tally(served, JudgedArm.CANDIDATE, 1) == Tally(1, events(), events())
    assert tally(served, JudgedArm.CANDIDATE, 2) == Tally(0, events(), events())


def test_units_that_wait_are_not_missing_from_the_split() -> None:
    """A version that is slow does not look as if it got too little traffic."""
    policy = Policy()
    shares = {JudgedArm.CANDIDATE: 5000, JudgedArm.STABLE: 5000}
    half = {JudgedArm.STABLE: Tally(300), JudgedArm.CANDIDATE: Tally(100)}
    slow = {JudgedArm.STABLE: Tally(300), JudgedArm.CANDIDATE: Tally(100, waiting=200)}

    def suspect(tallies: dict[JudgedArm, Tally]) -> bool:
        folded = fold(Evidence.begin(policy), shares, tallies, 0, 0)
        return split_is_suspect(Evidence.from_json(folded.to_json(), policy), policy)

    assert suspect(half)
    assert not suspect(slow)


@pytest.fixture
def three(tmp_path: Path, candidate: Moody) -> Iterator[Stage]:
    """A gateway with a host of each arm."""
    with stage(tmp_path) as opened:
        opened.start_host(STABLE)
        opened.start_host(CANDIDATE, candidate.run)
        opened.apply(table(0, {STABLE: FULL}))  # It was there before the rollout.
        yield opened


def test_every_arm_has_a_histogram(three: Stage, candidate: Moody) -> None:
    """How long its answers took is counted by bucket, valid or not; an error is no answer."""
    three.apply(judged(1, ALL_STABLE))
    for _ in range(3):
        ask(three)
    wait_until(lambda: times(three, JudgedArm.STABLE).total == 3, "the answers are counted")
    three.apply(judged(2, ALL_CANDIDATE))
    candidate.takes_s = 0.2
    ask(three)
    candidate.says = not_a_number
    ask(three)
    candidate.fails = True
    ask(three)

    wait_until(lambda: tally(three, JudgedArm.CANDIDATE, 2).units == 3, "all three are counted")
    took = times(three, JudgedArm.CANDIDATE)
    slow = next(place for place, bound in enumerate(LATENCY_BOUNDS) if bound > 0.16)
    assert (took.total, sum(took.answers[slow:]), took.none) == (2, 2, 0)
    assert len(took.answers) == len(LATENCY_BOUNDS) + 1
    assert times(three, JudgedArm.STABLE).total == 3
    assert times(three, JudgedArm.BASELINE) == Times()


def test_the_baseline_is_an_arm_of_its_own(three: Stage) -> None:
    """It is the stable version, and counted apart."""
    three.start_host(STABLE, baseline=True)
    three.apply(judged(1, {STABLE: FULL, CANDIDATE: 0}, baseline_bp=FULL))

    reply = ask(three)

    assert (who(reply), value(reply)) == (("1", "baseline"), 7.0)
    assert tally(three, JudgedArm.BASELINE) == Tally(1, events(), events())
    assert tally(three, JudgedArm.STABLE) == Tally(0, events(), events())


def test_a_baseline_that_fails_costs_users_nothing(three: Stage, candidate: Moody) -> None:
    """It is there for the comparison's sake: the stable version's own hosts answer for it."""
    candidate.fails = True
    three.start_host(STABLE, candidate.run, baseline=True)
    three.apply(judged(1, {STABLE: FULL, CANDIDATE: 0}, baseline_bp=FULL))

    reply = ask(three)

    assert (reply.status_code, who(reply)) == (200, ("1", "stable"))
    assert tally(three, JudgedArm.BASELINE).trials == events(error_ratio=1)


def test_nothing_counts_while_the_baseline_cannot_be_reached(
    three: Stage, candidate: Moody
) -> None:
    """Its units meet the stable arm, which then has more than its share; users notice nothing."""
    candidate.fails = True
    three.apply(judged(1, {STABLE: 5000, CANDIDATE: 5000}, baseline_bp=5000), connect_s=0.1)

    replies = [ask(three, f"client-{number}") for number in range(20)]

    assert {(reply.status_code, who(reply)) for reply in replies} == {(200, ("1", "stable"))}
    assert all(tally(three, arm) == Tally(0, events(), events()) for arm in JudgedArm)
    assert all(times(three, arm) == Times() for arm in JudgedArm)


def test_nothing_counts_while_the_candidate_cannot_be_reached(tmp_path: Path) -> None:
    """Of no arm, as when the baseline is away: what is lost to a machine is not the candidate's."""
    with stage(tmp_path) as opened:
        opened.start_host(STABLE)
        opened.start_host(STABLE, baseline=True)
        opened.apply(judged(1, {STABLE: 5000, CANDIDATE: 5000}, baseline_bp=2500), connect_s=0.1)

        replies = [ask(opened) for _ in range(30)]

        assert {reply.status_code for reply in replies} == {200}
        assert all(tally(opened, arm) == Tally(0, events(), events()) for arm in JudgedArm)
        assert all(times(opened, arm) == Times() for arm in JudgedArm)

        opened.start_host(CANDIDATE)
        opened.on_edge(opened.gateway.wait_connected(20.0))
        for _ in range(60):
            ask(opened)
        wait_until(
            lambda: sum(tally(opened, arm).units for arm in JudgedArm) == 60, "all are counted"
        )
        assert min(tally(opened, arm).units for arm in JudgedArm) > 0


def test_a_baseline_that_has_no_share_yet_is_not_waited_for(three: Stage) -> None:
    """While the candidate is a shadow, answers are compared before the baseline has hosts."""
    made = judged(1, ALL_STABLE, shadow_bp=FULL)
    waiting = replace(made.models[MODEL], baseline=STABLE)
    three.apply(replace(made, models={MODEL: waiting}), connect_s=0.1)

    ask(three)

    wait_until(lambda: report(three).pairs.rows == 1, "the pair is counted")
    assert tally(three, JudgedArm.STABLE).units == 1
