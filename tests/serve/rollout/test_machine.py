"""What a rollout does by itself, and what people may tell it, rule by rule."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest

from configs.errors import BadInput, Conflict
from configs.policy import Approvals, Metric, Policy
from registry.rollouts import Hold, Rollout, RolloutState
from serve.rollout.evidence import Evidence, fold_pairs
from serve.rollout.guardrails import SignalsSeen, judge
from serve.rollout.machine import Command, Division, Move, Seen, command, decide, division
from serve.rollout.tallies import GroupPairs, Pairs
from tests.serve.rollout.cases import SHORT, START, finding, good, rollout, seen

S = RolloutState
LATER = START + timedelta(seconds=301)
MUCH_LATER = START + timedelta(days=2)
GATED = SHORT.model_copy(update={"approvals": Approvals(before=("canary", "promotion"))})


def held(hold: Hold, held_from: RolloutState = S.CANARY, **changes: object) -> Rollout:
    """A rollout that is held."""
    return rollout(S.HELD, hold=hold, held_from=held_from, **changes)


def said(
    what: Command,
    to: Rollout,
    by: str = "bob",
    reason: str = "because",
    policy: Policy = SHORT,
    now: Seen | None = None,
    gate: str | None = None,
) -> Move:
    """The move that a person's command makes of a rollout."""
    return command(to, policy, what, by, reason, LATER, now or good(), gate)


def test_a_good_version_goes_all_the_way_by_itself() -> None:
    """Step by step, each after its wait."""
    now, at, states = START, rollout(), []
    while not at.state.over:
        move = decide(at, SHORT, good(), now)
        if move is None:
            now += timedelta(seconds=60)
            continue
        at = move.rollout
        states.append((at.state, division(at, SHORT).candidate_bp, now - START))
    assert states == [
        (S.SHADOW, 0, timedelta(0)),
        (S.CANARY, 500, timedelta(minutes=5)),
        (S.CANARY, 5000, timedelta(minutes=10)),
        (S.PROMOTING, 5000, timedelta(minutes=15)),
        (S.BAKING, 9500, timedelta(minutes=15)),
        (S.COMPLETED, 10_000, timedelta(minutes=45)),
    ]


def test_the_baseline_gets_as_much_as_the_canary_up_to_its_most() -> None:
    """Taken from the stable version, and no more than that has."""
    assert division(rollout(S.CANARY, step=0), SHORT) == Division(500, 500, 9000)
    assert division(rollout(S.CANARY, step=1), SHORT) == Division(5000, 5000, 0)
    saving = SHORT.model_copy(update={"baseline_max": 10.0})
    assert division(rollout(S.CANARY, step=1), saving) == Division(5000, 1000, 4000)
    almost = SHORT.model_copy(update={"steps": (97.0,)})
    assert division(rollout(S.CANARY, step=0), almost) == Division(9700, 300, 0)


def test_while_it_bakes_the_old_version_keeps_what_is_held_back() -> None:
    """As the arm that is compared with."""
    assert division(rollout(S.BAKING, step=1), SHORT) == Division(9500, 0, 500)


def test_a_shadow_gets_copies_and_no_traffic() -> None:
    """Of as many requests as the policy says."""
    assert division(rollout(S.SHADOW), SHORT) == Division(0, 0, 10_000, 10_000)


@pytest.mark.parametrize(
    "at",
    [
        rollout(S.STARTING),
        rollout(S.SHADOW),
        rollout(S.CANARY),
        rollout(S.PROMOTING),
        rollout(S.BAKING),
        *[held(hold) for hold in Hold],
    ],
    ids=lambda at: at.hold or at.state,
)
@pytest.mark.parametrize(
    "what_else",
    [{}, {"fresh": False}, {"fresh": False, "awaited": True}, {"split_suspect": True}],
    ids=str,
)
def test_harm_rolls_back_from_everywhere(at: Rollout, what_else: dict[str, bool]) -> None:
    """Whoever holds it, and whatever else is wrong."""
    harm = finding(Metric.ERROR_RATIO, harmful=True, message="9 errors against 1")
    move = decide(at, SHORT, seen(harm, **what_else), START)
    assert move is not None
    assert move.rollout.state is S.ROLLING_BACK
    assert move.reason == "error_ratio: 9 errors against 1"
    assert division(move.rollout, SHORT) == Division(0, 0, 10_000)


def test_a_rollback_ends_when_every_gateway_process_is_back() -> None:
    """Not before."""
    at = rollout(S.ROLLING_BACK)
    assert decide(at, SHORT, seen(settled=False), LATER) is None
    move = decide(at, SHORT, seen(), LATER)
    assert move is not None
    assert move.rollout.state is S.ROLLED_BACK
    assert "version" not in move.reason, "in `starting`, a rollback leads to another than stable"


@pytest.mark.parametrize("state", [S.SHADOW, S.CANARY])
def test_no_data_neither_promotes_nor_rolls_back(state: RolloutState) -> None:
    """After the longest time it is held."""
    at = rollout(state, step=0)
    assert decide(at, SHORT, seen(), LATER) is None
    move = decide(at, SHORT, seen(), MUCH_LATER)
    assert move is not None
    assert (move.rollout.hold, move.rollout.held_from) == (Hold.INCONCLUSIVE, state)


def test_a_time_out_rolls_back_where_the_policy_says_so() -> None:
    """Which it does not by default."""
    strict = SHORT.model_copy(update={"on_inconclusive": "rollback"})
    move = decide(rollout(S.CANARY), strict, seen(), MUCH_LATER)
    assert move is not None
    assert move.rollout.state is S.ROLLING_BACK


def test_a_step_waits_for_units_and_for_the_dwell() -> None:
    """For both."""
    few = seen(finding(Metric.ERROR_RATIO, units=49))
    enough = seen(finding(Metric.ERROR_RATIO, units=50))
    assert decide(rollout(S.CANARY), SHORT, few, LATER) is None
    assert decide(rollout(S.CANARY), SHORT, enough, START + timedelta(seconds=299)) is None
    move = decide(rollout(S.CANARY), SHORT, enough, LATER)
    assert move is not None
    assert (move.rollout.state, move.rollout.step) == (S.CANARY, 1)


def test_the_shadow_stage_waits_for_what_only_it_can_show() -> None:
    """And for nothing else."""
    unknown = seen(finding(Metric.SHADOW_DISAGREEMENT))
    known = seen(finding(Metric.SHADOW_DISAGREEMENT, good=True))
    assert decide(rollout(S.SHADOW), SHORT, unknown, LATER) is None
    move = decide(rollout(S.SHADOW), SHORT, known, LATER)
    assert move is not None
    assert move.rollout.state is S.CANARY


def test_the_shadow_stage_waits_for_fairness_that_can_be_told_though_it_is_optional() -> None:
    """Up to the longest time, then it is held; if somebody lets it go on, nothing waits."""
    alike = Pairs(rows=2000, groups={("sex", "f"): GroupPairs(200), ("sex", "m"): GroupPairs(1800)})
    policy = SHORT.model_copy(update={"guardrails": SHORT.guardrails[1:]})
    evidence = fold_pairs(Evidence.begin(policy), alike)
    undecided = seen(*judge(evidence, policy, True, SignalsSeen()))
    assert decide(rollout(S.SHADOW), policy, undecided, LATER) is None
    move = decide(rollout(S.SHADOW), policy, undecided, MUCH_LATER)
    assert move is not None
    assert (move.rollout.hold, move.rollout.held_from) == (Hold.INCONCLUSIVE, S.SHADOW)
    assert "still missing: fairness_gap" in move.reason
    last = decide(rollout(S.CANARY, step=1), policy, undecided, LATER)
    assert last is not None
    assert last.rollout.state is S.PROMOTING


def test_a_shadow_stage_in_which_no_groups_came_waits_for_no_fairness() -> None:
    """Where it is optional."""
    policy = SHORT.model_copy(update={"guardrails": SHORT.guardrails[1:]})
    without = judge(
        fold_pairs(Evidence.begin(policy), Pairs(rows=2000)), policy, True, SignalsSeen()
    )
    move = decide(rollout(S.SHADOW), policy, seen(*without), LATER)
    assert move is not None
    assert move.rollout.state is S.CANARY


def test_what_the_judge_says_of_alarms_holds_a_rollout() -> None:
    """And what it says of signals that nobody knows neither does, nor ends such a hold."""
    evidence = Evidence.begin(SHORT)
    alarmed = judge(evidence, SHORT, True, SignalsSeen(alarms=("input drift of income",)))
    unknown = judge(evidence, SHORT, True, SignalsSeen(known=False))
    move = decide(rollout(S.CANARY), SHORT, seen(*alarmed), START)
    assert move is not None
    assert move.rollout.hold is Hold.SIGNALS
    assert decide(rollout(S.CANARY), SHORT, seen(*unknown), START) is None
    assert decide(move.rollout, SHORT, seen(*unknown), START) is None, (
        "the alarm may still be there"
    )


def test_an_optional_guardrail_stops_no_promotion_but_by_harm_or_an_alarm() -> None:
    """One that is not optional does."""
    last = rollout(S.CANARY, step=1)
    required = [
        finding(Metric.ERROR_RATIO, good=True),
        finding(Metric.SHADOW_DISAGREEMENT, good=True),
    ]
    promoted = decide(last, SHORT, seen(*required), LATER)
    assert promoted is not None
    assert promoted.rollout.state is S.PROMOTING
    assert decide(last, SHORT, seen(required[0]), LATER) is None
    assert decide(last, SHORT, seen(), LATER) is None
    alarm = finding(Metric.SIGNALS, harmful=True, message="input drift of income")
    stopped = decide(last, SHORT, seen(*required, alarm), LATER)
    assert stopped is not None
    assert stopped.rollout.hold is Hold.SIGNALS
    assert stopped.reason == "input drift of income"


def test_optional_guardrails_alone_promote_nobody_who_has_shown_nothing() -> None:
    """One of them must tell."""
    lenient = SHORT.model_copy(
        update={"guardrails": (SHORT.guardrails[0].model_copy(update={"optional": True}),)}
    )
    last = rollout(S.CANARY, step=1)
    unknown = seen(finding(Metric.ERROR_RATIO))
    assert decide(last, lenient, unknown, LATER) is None
    assert decide(last, lenient, seen(), LATER) is None
    known = seen(finding(Metric.ERROR_RATIO, good=True))
    assert decide(last, lenient, known, LATER) is not None


@pytest.mark.parametrize("state", [S.SHADOW, S.CANARY, S.PROMOTING, S.BAKING])
def test_without_fresh_counts_nothing_goes_on(state: RolloutState) -> None:
    """However good the old ones were."""
    move = decide(rollout(state, step=1), SHORT, good(fresh=False), MUCH_LATER)
    assert move is not None
    assert (move.rollout.hold, move.rollout.held_from) == (Hold.STALE, state)
    assert decide(move.rollout, SHORT, good(fresh=False), MUCH_LATER) is None


@pytest.mark.parametrize("state", [S.SHADOW, S.CANARY, S.PROMOTING, S.BAKING])
@pytest.mark.parametrize("inconclusive", ["hold", "rollback"])
def test_a_controller_that_begins_anew_waits_for_the_first_counts(
    state: RolloutState, inconclusive: str
) -> None:
    """Nothing is held, nothing goes on, and no time has been too long."""
    policy = SHORT.model_copy(update={"on_inconclusive": inconclusive})
    at = rollout(state, step=1)
    assert decide(at, policy, good(policy, fresh=False, awaited=True), MUCH_LATER) is None
    assert decide(at, policy, good(policy), MUCH_LATER) is not None


@pytest.mark.parametrize("state", [S.SHADOW, S.CANARY, S.BAKING])
def test_time_without_a_judge_is_not_waited(state: RolloutState) -> None:
    """Waits count from the moment since which there has been one, or from the state's beginning."""
    at = rollout(state, step=1)
    assert decide(at, SHORT, good(judged_since=MUCH_LATER), MUCH_LATER) is None
    assert decide(at, SHORT, good(judged_since=START - timedelta(days=9)), MUCH_LATER) is not None


@pytest.mark.parametrize(
    ("hold", "gone"), [(Hold.STALE, good()), (Hold.SIGNALS, good())], ids=["stale", "signals"]
)
def test_a_hold_ends_with_its_reason_and_the_wait_begins_anew(hold: Hold, gone: Seen) -> None:
    """At the step where it was held."""
    move = decide(held(hold, step=1), SHORT, gone, MUCH_LATER)
    assert move is not None
    assert (move.rollout.state, move.rollout.step) == (S.CANARY, 1)
    assert decide(move.rollout, SHORT, gone, MUCH_LATER) is None


@pytest.mark.parametrize("hold", [Hold.PAUSED, Hold.FROZEN, Hold.INCONCLUSIVE, Hold.APPROVAL])
def test_what_a_person_must_decide_waits_for_a_person(hold: Hold) -> None:
    """However good the evidence is by now."""
    assert decide(held(hold, step=1), SHORT, good(), MUCH_LATER) is None


def test_a_wrong_split_is_held_for_good() -> None:
    """Evidence of a wrong split is none, and there is no other."""
    move = decide(rollout(S.CANARY, step=1), SHORT, good(split_suspect=True), LATER)
    assert move is not None
    assert move.rollout.hold is Hold.SPLIT
    assert decide(move.rollout, SHORT, good(), MUCH_LATER) is None
    for what in set(Command) - {Command.ABORT}:
        with pytest.raises(Conflict, match=r"no `|abort"):
            said(what, move.rollout, policy=GATED)
    assert said(Command.ABORT, move.rollout).rollout.state is S.ROLLING_BACK


def test_hosts_that_do_not_start_fail_a_rollout_that_has_no_traffic_yet() -> None:
    """One that has some is rolled back."""
    no_host = seen(failed="no host could be started")
    for state, then in [(S.STARTING, S.FAILED), (S.SHADOW, S.FAILED), (S.CANARY, S.ROLLING_BACK)]:
        move = decide(rollout(state), SHORT, no_host, START)
        assert move is not None
        assert (move.rollout.state, move.reason) == (then, "no host could be started")


def test_a_clock_that_is_set_back_and_forth_skips_no_wait() -> None:
    """Moments of a rollout never go back."""
    early = START - timedelta(hours=3)
    assert decide(rollout(S.CANARY, step=1), SHORT, good(), early) is None
    assert decide(rollout(S.BAKING, step=1), SHORT, good(), early) is None
    move = decide(rollout(S.STARTING), SHORT, good(), early)
    assert move is not None
    assert decide(move.rollout, SHORT, good(), START + timedelta(seconds=1)) is None


def test_a_gate_holds_until_another_person_approves_and_then_goes_on_at_once() -> None:
    """The wait was before."""
    move = decide(rollout(S.CANARY, step=1), GATED, good(), LATER)
    assert move is not None
    assert move.rollout.hold is Hold.APPROVAL
    agreed = replace(move.rollout, approved=("canary",))
    with pytest.raises(Conflict, match="somebody else"):
        said(Command.APPROVE, agreed, by="ada", policy=GATED)
    onward = said(Command.APPROVE, agreed, policy=GATED).rollout
    assert (onward.state, onward.approved, onward.by) == (
        S.PROMOTING,
        ("canary", "promotion"),
        "bob",
    )


def test_an_approval_promotes_nobody_whose_evidence_is_gone() -> None:
    """It goes back to the step, approved."""
    waiting = held(Hold.APPROVAL, step=1, approved=("canary",))
    back = said(Command.APPROVE, waiting, policy=GATED, now=seen()).rollout
    assert (back.state, back.step) == (S.CANARY, 1)


def test_approval_may_come_before_it_is_waited_for() -> None:
    """Then nothing waits."""
    noted = said(Command.APPROVE, rollout(S.SHADOW), policy=GATED, gate="canary").rollout
    assert (noted.state, noted.approved) == (S.SHADOW, ("canary",))
    move = decide(noted, GATED, good(), LATER)
    assert move is not None
    assert move.rollout.state is S.CANARY


def test_nobody_walks_past_a_gate() -> None:
    """Neither by a step nor by a promotion."""
    with pytest.raises(Conflict, match="approve"):
        said(Command.ADVANCE, rollout(S.SHADOW), policy=GATED)
    with pytest.raises(Conflict, match="approve"):
        said(Command.PROMOTE, rollout(S.CANARY), policy=GATED)


@pytest.mark.parametrize("at", [rollout(S.SHADOW), held(Hold.PAUSED, S.SHADOW)])
def test_a_promotion_out_of_the_shadow_stage_passes_the_gate_of_the_canary(at: Rollout) -> None:
    """Where a policy has only that one; a canary has passed it."""
    gated = SHORT.model_copy(update={"approvals": Approvals(before=("canary",))})
    with pytest.raises(Conflict, match="canary waits for approval"):
        said(Command.PROMOTE, at, policy=gated)
    agreed = replace(at, approved=("canary",))
    assert said(Command.PROMOTE, agreed, policy=gated).rollout.state is S.PROMOTING
    assert said(Command.PROMOTE, rollout(S.CANARY), policy=gated).rollout.state is S.PROMOTING


def test_advance_skips_the_wait_but_never_the_evidence_for_a_promotion() -> None:
    """And says what is missing."""
    assert said(Command.ADVANCE, rollout(S.CANARY), now=seen()).rollout.step == 1
    last = rollout(S.CANARY, step=1)
    with pytest.raises(Conflict, match="error_ratio, shadow_disagreement; `promote`"):
        said(Command.ADVANCE, last, now=seen())
    assert said(Command.ADVANCE, last).rollout.state is S.PROMOTING


def test_promote_needs_a_reason_and_a_name_and_keeps_them() -> None:
    """In the rollout itself."""
    with pytest.raises(BadInput, match="reason"):
        said(Command.PROMOTE, rollout(S.CANARY), reason=" ")
    with pytest.raises(BadInput, match="name"):
        said(Command.PROMOTE, rollout(S.CANARY), by="")
    promoted = said(Command.PROMOTE, rollout(S.CANARY), now=seen()).rollout
    assert (promoted.state, promoted.promoted_by, promoted.reason) == (
        S.PROMOTING,
        "bob",
        "because",
    )


@pytest.mark.parametrize("what", [Command.ABORT, Command.PAUSE, Command.FREEZE])
def test_nobody_is_refused_a_way_out_over_their_name(what: Command) -> None:
    """Those who are noted are told from Weir itself where they come in."""
    assert said(what, rollout(S.CANARY), by="weir").action == what


@pytest.mark.parametrize("what", [Command.ADVANCE, Command.PROMOTE])
def test_nobody_gives_more_traffic_to_one_that_is_harmful_or_not_ready(what: Command) -> None:
    """Not even by name."""
    harm = seen(finding(Metric.ERROR_RATIO, harmful=True))
    for now in (harm, seen(candidate_ready=False), seen(split_suspect=True), seen(fresh=False)):
        with pytest.raises(Conflict):
            said(what, rollout(S.CANARY), now=now)


def test_an_alarm_does_not_hold_what_a_person_has_promoted() -> None:
    """They knew of it."""
    promoted = said(Command.PROMOTE, held(Hold.SIGNALS)).rollout
    alarm = seen(finding(Metric.SIGNALS, harmful=True))
    move = decide(promoted, SHORT, alarm, LATER)
    assert move is not None
    assert move.rollout.state is S.BAKING


def test_what_is_frozen_can_only_be_resumed_or_aborted() -> None:
    """Until it is resumed."""
    frozen = said(Command.FREEZE, held(Hold.STALE)).rollout
    assert (frozen.hold, frozen.held_from) == (Hold.FROZEN, S.CANARY)
    for what in set(Command) - {Command.ABORT, Command.RESUME}:
        with pytest.raises(Conflict, match="`resume` or `abort`"):
            said(what, frozen, policy=GATED.model_copy(update={"steps": (5.0, 50.0)}))
    assert said(Command.RESUME, frozen).rollout.state is S.CANARY


@pytest.mark.parametrize("hold", [Hold.STALE, Hold.SIGNALS, Hold.APPROVAL, Hold.SPLIT])
def test_resume_does_not_talk_a_reason_away(hold: Hold) -> None:
    """The answer says what is the matter."""
    with pytest.raises(Conflict, match=hold.value):
        said(Command.RESUME, held(hold))


def test_after_completion_rollback_returns_while_the_old_version_is_warm() -> None:
    """Later it takes a rollout."""
    done = rollout(S.COMPLETED)
    back = said(Command.ROLLBACK, done, now=good(previous=3)).rollout
    assert division(back, SHORT) == Division(0, 0, 10_000)
    for previous in (None, 2):
        with pytest.raises(Conflict, match="start a rollout"):
            said(Command.ROLLBACK, done, now=good(previous=previous))
    with pytest.raises(Conflict, match="`abort` it"):
        said(Command.ROLLBACK, rollout(S.BAKING), now=good(previous=3))


def test_retry_leaves_what_has_ended_as_it_is() -> None:
    """And nothing else may be tried again: a rollout of its own begins."""
    for state in (S.ROLLED_BACK, S.FAILED):
        ended = rollout(state, step=1, number=9)
        assert said(Command.RETRY, ended).rollout is ended
    for state in (S.CANARY, S.COMPLETED):
        with pytest.raises(Conflict):
            said(Command.RETRY, rollout(state))


def test_what_is_over_takes_no_command_but_those_that_begin_again() -> None:
    """And decides nothing."""
    for state in (S.COMPLETED, S.ROLLED_BACK, S.FAILED):
        for what in set(Command) - {Command.RETRY, Command.ROLLBACK}:
            with pytest.raises(Conflict, match=state.value):
                said(what, rollout(state))
        assert decide(rollout(state), SHORT, good(), MUCH_LATER) is None
