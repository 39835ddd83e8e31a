"""Rollouts go on by themselves, and back; over restarts, slow hosts and failures of others."""

from __future__ import annotations

import asyncio
import json

import pytest

from configs.errors import Refused, Unavailable
from configs.policy import Metric
from monitors.telemetry import names
from registry.records import FULL
from registry.rollouts import Hold, Rollout, RolloutState
from serve.rollout.account import Rates, account
from serve.rollout.commands import Command
from serve.rollout.conductor import FRESH_S
from serve.rollout.finding import Finding
from serve.rollout.tallies import JudgedArm, Report, Tally
from tests.serve.rollout.conducting import Stand
from tests.serve.versions import MODEL

BAD = {JudgedArm.CANDIDATE: 0.3}


async def test_a_good_version_is_promoted_by_itself(stand: Stand) -> None:
    """Through every state, with the traffic that belongs to each, to the end."""
    await stand.start()
    await stand.look()
    assert (stand.rollout.state, stand.weights) == (RolloutState.SHADOW, {1: FULL})
    assert _shadow(stand) == 2

    await stand.until(RolloutState.CANARY)
    assert stand.weights == {1: 9500, 2: 500}
    assert _shadow(stand) is None
    judged = stand.route.judged
    assert judged is not None
    assert (judged.candidate, judged.baseline_bp) == (2, 500)
    await stand.until(RolloutState.BAKING)
    assert (stand.weights, stand.route.stable) == ({1: 500, 2: 9500}, 1)
    await stand.until(RolloutState.COMPLETED)

    assert (stand.weights, stand.route.stable, stand.route.previous) == ({2: FULL}, 2, 1)
    assert stand.route.judged is None
    assert stand.actions == ["start", *["advance"] * 5, "complete"]
    last = stand.registry.rollout_changes(stand.rollout.id)[-1]
    (errors,) = [
        found for found in json.loads(last.evidence)["findings"] if found["metric"] == "error_ratio"
    ]
    assert errors["good"]
    assert errors["good_log10"] >= errors["good_at"]
    assert stand.registry.verify_audit() is None


async def test_a_bad_version_is_rolled_back_by_itself(stand: Stand) -> None:
    """With the evidence written down, and why in words."""
    await stand.start()
    await stand.until(RolloutState.CANARY)
    stand.serve(2000, BAD)

    await stand.look()
    assert stand.weights == {1: FULL}
    rolling = stand.registry.rollout_changes(stand.rollout.id)[-1]
    assert (rolling.action, rolling.rollout.by) == ("roll back", "weir")
    assert rolling.rollout.reason.startswith("error_ratio: ")
    assert json.loads(rolling.evidence)["findings"][0]["harmful"]
    await stand.look()

    assert stand.rollout.state is RolloutState.ROLLED_BACK
    assert stand.route.judged is None


async def test_a_way_back_ends_when_everybody_routes_so(stand: Stand) -> None:
    """Whatever has become of hosts that are not needed for it."""
    await stand.start()
    await stand.until(RolloutState.CANARY)
    stand.stage.wanted = stand.stage.back = False
    await stand.order(Command.ABORT)
    assert (await stand.look()).state is RolloutState.ROLLING_BACK
    stand.stage.back = True

    assert (await stand.look()).state is RolloutState.ROLLED_BACK


@pytest.mark.parametrize("state", [RolloutState.CANARY, RolloutState.BAKING])
async def test_harm_is_found_in_every_state_also_while_held(
    stand: Stand, state: RolloutState
) -> None:
    """Whoever has paused it: nobody has to be there."""
    await stand.start()
    await stand.until(state)
    await stand.order(Command.PAUSE)
    assert stand.rollout.state is RolloutState.HELD
    for _ in range(3):
        stand.serve(8000, BAD)
        await stand.look()

    assert "roll back" in stand.actions
    assert stand.weights == {1: FULL}


async def test_nothing_is_promoted_without_counts(stand: Stand) -> None:
    """Time alone brings it nowhere: it is held, and goes on when counts come again."""
    await stand.start(step_max_s=5000)
    await stand.until(RolloutState.CANARY)
    for _ in range(12):
        await stand.look(11.0)
    assert (stand.rollout.state, stand.rollout.hold) == (RolloutState.HELD, Hold.STALE)
    assert stand.weights == {1: 9500, 2: 500}

    stand.serve(0)
    await stand.look()
    assert stand.rollout.state is RolloutState.CANARY
    for _ in range(12):
        stand.serve(0)
        await stand.look(9.0)
    assert (stand.rollout.state, stand.rollout.step) == (RolloutState.CANARY, 0)


async def test_every_gateway_process_must_have_reported(stand: Stand) -> None:
    """One of two that is silent is as good as none."""
    stand.stage.replicas = 2
    await stand.start()
    await stand.look()
    for _ in range(2):
        stand.serve(100, source="g1")
        stand.serve(100, source="g2")
        await stand.look(8.0)
    assert stand.rollout.hold is None
    for _ in range(2):
        stand.serve(100, source="g1")
        await stand.look(8.0)
    assert stand.rollout.hold is Hold.STALE


async def test_a_restart_neither_loses_a_count_nor_counts_one_twice(stand: Stand) -> None:
    """What was kept is gone on from, also where a report is heard again, or comes late."""
    await stand.start(min_units=10_000)
    await stand.until(RolloutState.CANARY)
    stand.serve(2000, {JudgedArm.CANDIDATE: 0.01, JudgedArm.STABLE: 0.01})
    await stand.look()
    course, before = await stand.conductor.see(stand.rollout)
    stand.serve(1000)

    stand.open()
    again, restored = await stand.conductor.see(stand.rollout)
    assert again.evidence == course.evidence
    assert restored.findings[:2] == before.findings[:2]
    stand.report_again()
    stand.report_again()
    await stand.look()

    counted, _ = await stand.conductor.see(stand.rollout)
    of_candidate = sum(arms[JudgedArm.CANDIDATE].units for arms in counted.evidence.seen.values())
    told = stand.source["g1"].stretches.values()
    assert of_candidate == sum(arms[JudgedArm.CANDIDATE].units for arms in told)
    assert stand.rollout.state is RolloutState.CANARY


async def test_one_that_hangs_is_missed_for_a_minute(stand: Stand) -> None:
    """It asks for no table any more, so it is no gateway process that is known to be alive."""
    await stand.start()
    await stand.look()
    stand.serve(100, source="1-a")
    stand.serve(100, source="2-a")
    for _ in range(5):
        stand.serve(100, source="1-a")
        await stand.look(11.0)
        stand.serve(100, source="1-a")
        await stand.look(0.0)
        assert stand.rollout.hold is Hold.STALE
    stand.serve(100, source="1-a")
    await stand.look(6.0)
    assert stand.rollout.hold is None


@pytest.mark.parametrize("state", [RolloutState.CANARY, RolloutState.BAKING])
async def test_time_without_a_judge_is_no_time_that_was_waited(
    stand: Stand, state: RolloutState
) -> None:
    """After a restart it is held if no counts come in, and the wait begins anew."""
    await stand.start()
    step = (await stand.until(state)).step
    stand.serve()
    stand.open()

    await stand.look(600.0)
    assert stand.rollout.state is state
    await stand.look(FRESH_S)
    assert (stand.rollout.hold, stand.rollout.held_from) == (Hold.STALE, state)

    stand.report_again()
    for _ in range(2):
        await stand.look()
    assert (stand.rollout.state, stand.rollout.step) == (state, step)
    assert stand.actions[-2:] == ["hold", "go on"]


@pytest.mark.parametrize(
    ("state", "wait_s"), [(RolloutState.CANARY, 10.0), (RolloutState.BAKING, 60.0)]
)
async def test_after_a_restart_the_first_counts_are_waited_for(
    stand: Stand, state: RolloutState, wait_s: float
) -> None:
    """Nothing is held and nothing goes on until all have reported; the wait begins with that."""
    await stand.start()
    before = await stand.until(state)
    stand.stage.replicas = 2
    stand.serve(source="g2")
    stand.serve()
    stand.open()

    await stand.look(600.0)
    stand.reports.take([stand.source["g1"]])
    await stand.look(FRESH_S - 2.0)
    _, seen = await stand.conductor.see(stand.rollout)
    (waits_for,) = account(stand.rollout, seen, Rates(), stand.clock.now).waits_for
    assert waits_for.startswith("the first counts of every gateway process")
    assert stand.rollout == before

    stand.report_again()
    await stand.look()
    assert stand.rollout == before
    while stand.rollout == before:
        stand.report_again()
        await stand.look()
        wait_s -= 1.0
    assert wait_s == 0.0
    assert "hold" not in stand.actions


async def test_a_late_report_is_no_new_step(stand: Stand) -> None:
    """What was counted at an earlier step counts by its shares, and no bet begins anew for it."""
    await stand.start(bake_s=6000)
    await stand.until(RolloutState.CANARY)
    first = stand.route.generation
    stand.serve(2000, {JudgedArm.BASELINE: 0.05})
    await stand.until(RolloutState.BAKING)
    failed = Tally(500, events={Metric.ERROR_RATIO: 5}, trials={Metric.ERROR_RATIO: 5})
    late = {first: {JudgedArm.BASELINE: failed}}
    for stretches in ({}, late, late):
        stand.serve(1000, {JudgedArm.STABLE: 0.5})
        stand.reports.take([Report("g2", stand.rollout.id, stretches)])
        await stand.look()

    course, _ = await stand.conductor.see(stand.rollout)
    assert course.evidence.harm[Metric.ERROR_RATIO].steps == 1
    early = course.evidence.seen[500, 500, 9000][JudgedArm.BASELINE]
    assert early.events[Metric.ERROR_RATIO] == 10


async def test_what_cannot_be_read_again_ends_the_rollout(stand: Stand) -> None:
    """Nobody gets answers of a version of which nothing is known any more."""
    await stand.start()
    await stand.until(RolloutState.CANARY)
    stand.registry.keep_evidence(stand.rollout.id, stand.rollout.number, "{}")
    stand.open()

    await stand.look()

    assert stand.weights == {1: FULL}
    assert "cannot be read" in stand.rollout.reason


async def test_a_rollback_does_not_wait_for_slow_hosts(stand: Stand) -> None:
    """A step that waits for hosts is overtaken, and then changes nothing."""
    await stand.start()
    await stand.until(RolloutState.CANARY)
    stand.stage.hosts.clear()
    stand.clock.later(10.0)
    stand.serve(4000)
    await stand.look()
    assert stand.stage.log[-1] == {1: 5000, 2: 5000}
    assert stand.weights == {1: 9500, 2: 500}
    await stand.look()
    assert stand.stage.log.count({1: 5000, 2: 5000}) == 1, "it waits, and is not begun again"

    stand.serve(2000, BAD)
    await stand.look()
    assert stand.weights == {1: FULL}
    stand.stage.hosts.set()
    await stand.rest()

    assert stand.weights == {1: FULL}
    assert stand.rollout.state is RolloutState.ROLLING_BACK


async def test_a_host_that_does_not_start_ends_the_rollout(stand: Stand) -> None:
    """Nobody has had an answer of it: it has failed, and says why."""
    stand.stage.fails = Refused("the host of 2 did not start")
    await stand.start()
    await stand.look()
    await stand.look()

    assert (stand.rollout.state, stand.weights) == (RolloutState.FAILED, {1: FULL})
    assert stand.rollout.reason == "the host of 2 did not start"


async def test_hosts_that_cannot_be_reached_are_tried_again(stand: Stand) -> None:
    """After a rest; nothing has changed meanwhile."""
    stand.stage.fails = Unavailable("not now")
    await stand.start()
    await stand.look()
    await stand.look()
    assert (stand.rollout.state, len(stand.stage.log)) == (RolloutState.STARTING, 1)
    told = await stand.desk.explain(stand.rollout.id)
    assert "it is tried again, as not now" in told.waits_for
    stand.stage.fails = None

    await stand.look(5.0)

    assert stand.rollout.state is RolloutState.SHADOW
    told = await stand.desk.explain(stand.rollout.id)
    assert not any("tried again" in each for each in told.waits_for)


async def test_hosts_that_can_never_be_reached_hold_a_rollout(stand: Stand) -> None:
    """When it has taken too long, with the reason; whoever resumes it has it tried again."""
    stand.stage.fails = Unavailable("0 of 1 gateway replicas could reach it")
    await stand.start(step_max_s=60.0)
    await stand.look()
    await stand.look(60.0)
    assert (stand.rollout.hold, stand.weights) == (Hold.INCONCLUSIVE, {1: FULL})
    assert stand.rollout.reason.endswith("still missing: 0 of 1 gateway replicas could reach it")
    stand.stage.fails = None

    await stand.order(Command.RESUME)
    await stand.look(5.0)

    assert stand.rollout.state is RolloutState.SHADOW


async def test_one_that_fails_stops_no_other(stand: Stand) -> None:
    """What nobody expected is counted, and tried again."""
    other = "fraud"
    for version in stand.registry.versions(MODEL):
        card, digest = version.card, version.digest
        stand.registry.register(other, digest, card, None, "ada")
    stand.registry.promote(other, 1, "ada", "first")
    await stand.start()
    stand.registry.start_rollout(other, 2, stand.rollout.policy, "ada", "")
    stand.stage.surprise = RuntimeError("nobody expected this")
    await stand.look()
    assert _failures(stand) == 2
    stand.stage.surprise = None
    broken = stand.registry.rollouts(other)[0]
    stand.reports.take([Report("g1", broken.id, {1: None})])  # type: ignore[dict-item]

    await stand.look(6.0)

    assert stand.registry.rollouts(MODEL)[-1].state is RolloutState.SHADOW
    assert stand.registry.rollouts(other)[-1].state is RolloutState.STARTING
    assert _failures(stand) == 3


async def test_what_a_late_answer_is_is_fixed_when_the_canary_begins(stand: Stand) -> None:
    """By the stable version's slowest hundredth in the shadow stage; then it stays so."""
    await stand.start()
    await stand.look()
    assert stand.rollout.objective_s is None
    fixed = (await stand.until(RolloutState.CANARY)).objective_s

    assert fixed is not None
    assert 0.01 <= fixed <= 0.0125
    judged = stand.route.judged
    assert judged is not None
    assert judged.objective_s == fixed
    assert (await stand.until(RolloutState.BAKING)).objective_s == fixed


async def test_what_a_late_answer_is_may_be_named(stand: Stand) -> None:
    """Then nothing has to be known."""
    late = {"metric": "latency_over_slo", "margin_rel": 1.0, "objective_s": 0.25}
    await stand.start(shadow={"fraction": 0.0}, guardrails=[late])
    await stand.look()

    assert (stand.rollout.state, stand.rollout.objective_s) == (RolloutState.CANARY, 0.25)


async def test_what_a_late_answer_is_is_fixed_later_where_nothing_was_known(stand: Stand) -> None:
    """Without a shadow stage, from the first answers of the stable version."""
    await stand.start(shadow={"fraction": 0.0})
    await stand.look()
    assert (stand.rollout.state, stand.rollout.objective_s) == (RolloutState.CANARY, None)
    stand.serve(200)
    await stand.look()

    assert stand.rollout.objective_s is not None
    assert stand.actions[-1] == "set objective"
    judged = stand.route.judged
    assert judged is not None
    assert judged.objective_s == stand.rollout.objective_s


async def test_alarms_that_only_the_candidate_has_hold_it(stand: Stand) -> None:
    """Until they are gone; one that the stable version has too is no news."""
    await stand.start()
    await stand.until(RolloutState.CANARY)
    stand.monitors.alarms = {1: {"age"}, 2: {"age", "income"}}
    for _ in range(2):
        stand.serve(100)
        await stand.look(5.0)
    assert stand.rollout.hold is Hold.SIGNALS
    assert "income" in stand.rollout.reason
    assert "age" not in stand.rollout.reason

    stand.monitors.alarms = {1: {"age"}, 2: {"age"}}
    for _ in range(2):
        stand.serve(100)
        await stand.look(5.0)
    assert stand.rollout.hold is None


async def test_monitors_that_are_away_hold_nothing_up(stand: Stand) -> None:
    """What they would say is not known; an optional guardrail does not wait for it."""
    stand.monitors.away = Unavailable("not there")
    await stand.start()

    await stand.until(RolloutState.COMPLETED)


async def test_a_completed_rollout_is_taken_back_on_a_word(stand: Stand) -> None:
    """The version before is still warm."""
    await stand.start()
    await stand.until(RolloutState.COMPLETED)
    done = await stand.order(Command.ROLLBACK, reason="customers complain")

    assert (done.rollout.state, stand.weights) == (RolloutState.ROLLING_BACK, {1: FULL})
    await stand.look()
    assert stand.rollout.state is RolloutState.ROLLED_BACK


async def test_how_rollouts_stand_is_told_in_numbers(stand: Stand) -> None:
    """State, step, share and evidence while it is under way, and every change."""
    await stand.start()
    await stand.until(RolloutState.CANARY)
    stand.serve(1000)
    await stand.look()
    of = MODEL, "2"

    told = stand.counts.snapshot("s", _standing(stand))
    assert told.gauges[names.ROLLOUT_STATE.name, (*of, "canary")] == 1.0
    assert told.gauges[names.ROLLOUT_STEP.name, of] == 1.0
    assert told.gauges[names.ROLLOUT_SHARE.name, of] == 0.05
    assert (names.ROLLOUT_GOOD.name, (*of, Metric.ERROR_RATIO.value)) in told.gauges
    assert told.counters[names.ROLLOUT_CHANGES.name, (MODEL, "advance")] == 2

    await stand.order(Command.ABORT)
    for _ in range(2):
        await stand.look()
    assert not stand.counts.snapshot("s", _standing(stand)).gauges


async def test_gateways_are_told_whether_somebody_judges(stand: Stand) -> None:
    """Nobody does before the first look, nor once none came for a while."""
    said = [stand.conductor.judges([])]
    await stand.conductor.look()
    said.append(stand.conductor.judges(["one that is over"]))
    stand.clock.later(21.0)
    said.append(stand.conductor.judges([]))

    assert said == [False, True, False]


@pytest.mark.parametrize("what", ["keep_evidence", "change_rollout"])
async def test_a_rollout_whose_looks_fail_is_not_judged(
    stand: Stand, monkeypatch: pytest.MonkeyPatch, what: str
) -> None:
    """As with a full disk, where neither counts nor a way back can be kept; others are judged."""
    await stand.start()
    await stand.until(RolloutState.CANARY)
    ours = [stand.rollout.id]
    assert stand.conductor.judges(ours)

    def full(*_: object) -> None:
        raise Unavailable("the disk is full")

    with monkeypatch.context() as broken:
        broken.setattr(stand.registry, what, full)
        for _ in range(3):
            stand.serve(4000, BAD)
            await stand.look(10.0)
        assert not stand.conductor.judges(ours)
        assert stand.conductor.judges(["another"])
        assert stand.weights == {1: 9500, 2: 500}
    await stand.look(10.0)

    assert stand.conductor.judges(ours)
    assert stand.weights == {1: FULL}


async def test_a_report_that_comes_after_the_end_is_not_kept(stand: Stand) -> None:
    """As of a gateway process that has not followed yet."""
    late = [Report("g1", "one that is over")]
    stand.reports.take(late)
    await stand.conductor.look()

    assert not stand.reports.of("one that is over")


async def test_a_conductor_that_ends_leaves_nothing_running(stand: Stand) -> None:
    """What waits for hosts is let go of; the registry knows nothing of it."""
    stand.stage.hosts.clear()
    await stand.start()
    await stand.look()
    tasks = set(stand.conductor.under_way)
    assert tasks

    await stand.conductor.close()

    assert all(task.done() for task in tasks)
    assert stand.rollout.state is RolloutState.STARTING
    await asyncio.sleep(0)


def _shadow(stand: Stand) -> int | None:
    shadow = stand.route.shadow
    return shadow.version if shadow is not None else None


def _standing(stand: Stand) -> list[tuple[Rollout, tuple[Finding, ...]]]:
    return [(rollout, seen.findings) for rollout, seen in stand.conductor.standing.values()]


def _failures(stand: Stand) -> int:
    told = stand.counts.snapshot("s", ())
    return told.counters[names.TASK_FAILURES.name, (names.TASK_ROLLOUTS,)]
