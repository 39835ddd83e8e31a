"""How a rollout stands is said in words that a person understands."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from configs.policy import Metric
from registry.rollouts import Hold, RolloutState
from serve.rollout.account import Rates, Verdict, account, duration, says
from serve.rollout.moves import Seen
from serve.rollout.pace import Pace
from serve.rollout.tallies import JudgedArm
from tests.serve.rollout import cases
from tests.serve.rollout.cases import START, finding, seen
from tests.serve.rollout.conducting import policy

CANDIDATE, BASELINE = JudgedArm.CANDIDATE, JudgedArm.BASELINE


def rollout(state: RolloutState, **changes: Any) -> Any:
    """A rollout by the quick policy."""
    return cases.rollout(state, policy=policy().model_dump_json(), **changes)


@pytest.mark.parametrize(
    ("seconds", "words"),
    [
        (0.2, "1 s"),
        (119, "119 s"),
        (120, "2 minutes"),
        (1500, "25 minutes"),
        (7300, "2 hours"),
        (1_000_000, "12 days"),
    ],
)
def test_a_time_has_one_unit(seconds: float, words: str) -> None:
    """Nobody needs the seconds of a day."""
    assert duration(seconds) == words


def test_a_guardrail_says_what_was_counted_and_what_is_missing() -> None:
    """With the time that it takes at the present rate, if anything comes in."""
    found = finding(
        Metric.ERROR_RATIO,
        compared_with=BASELINE,
        events={CANDIDATE: 3, BASELINE: 2},
        harm_log10=0.5,
        harm_at=7.0,
        more_units=7200,
    )
    found = replace(found, units={CANDIDATE: 1200, BASELINE: 1190})
    now = rollout(RolloutState.CANARY)

    (guard,) = account(now, seen(found), Rates(units_per_s=2.0), START).guards
    assert (guard.verdict, guard.about_s) == (Verdict.CANNOT_TELL, 3600.0)
    assert guard.says == (
        "cannot tell yet; candidate 3 of 1,200, baseline 2 of 1,190; evidence of harm 3.2 of "
        "10^7.0; about 7,200 more units, 60 minutes at the present rate"
    )
    (idle,) = account(now, seen(found), Rates(), START).guards
    assert idle.says.endswith("about 7,200 more units; nothing comes in at present")
    (unknown,) = account(now, seen(replace(found, more_units=None)), Rates(), START).guards
    assert unknown.says.endswith("it cannot be said how many more it takes")


def test_pairs_come_at_their_own_rate() -> None:
    """Those of the shadow stage, in which nobody meets the candidate."""
    found = finding(Metric.SHADOW_DISAGREEMENT, more_units=100)
    rates = Rates(units_per_s=None, pairs_per_s=10.0)

    (guard,) = account(rollout(RolloutState.SHADOW), seen(found), rates, START).guards

    assert guard.about_s == 10.0
    assert "about 100 more compared answers" in guard.says


def test_labels_come_at_their_own_rate() -> None:
    """Of units that are labelled, which are fewer than those that come."""
    found = finding(
        Metric.QUALITY_LOSS,
        compared_with=JudgedArm.STABLE,
        events={CANDIDATE: 4, JudgedArm.STABLE: 76},
        more_units=100,
    )
    found = replace(found, units={CANDIDATE: 200, JudgedArm.STABLE: 3800})
    rates = Rates(units_per_s=50.0, labelled_per_s=2.0)
    now = rollout(RolloutState.CANARY)

    (guard,) = account(now, seen(found), rates, START).guards

    assert guard.about_s == 50.0
    assert guard.says == (
        "cannot tell yet; wrong of labelled units: candidate 4 of 200, stable 76 of 3,800; "
        "about 100 more labelled units, 50 s at the present rate"
    )


def test_labels_of_pairs_come_at_their_own_rate() -> None:
    """Which is not that of the pairs; of how many, and who was wrong."""
    found = finding(
        Metric.SHADOW_LOSS,
        compared_with=JudgedArm.STABLE,
        events={CANDIDATE: 9, JudgedArm.STABLE: 12},
        more_units=80,
    )
    found = replace(found, units={CANDIDATE: 300, JudgedArm.STABLE: 300})
    rates = Rates(pairs_per_s=50.0, labelled_pairs_per_s=4.0)

    (guard,) = account(rollout(RolloutState.SHADOW), seen(found), rates, START).guards

    assert guard.about_s == 20.0
    assert guard.says == (
        "cannot tell yet; wrong of labelled rows that both versions answered: candidate 9 of 300, "
        "stable 12 of 300; about 80 more labelled rows that both versions answered, 20 s at the "
        "present rate"
    )


@pytest.mark.parametrize(
    ("metric", "of"),
    [
        (Metric.QUALITY_LOSS, "a unit"),
        (Metric.SHADOW_LOSS, "a row that both versions answered"),
    ],
)
def test_a_guardrail_on_labels_says_that_none_has_come(metric: Metric, of: str) -> None:
    """Not that it cannot be said how many it takes."""
    found = finding(metric, compared_with=JudgedArm.STABLE)
    none = replace(found, units={CANDIDATE: 0, JudgedArm.STABLE: 0})

    (guard,) = account(rollout(RolloutState.SHADOW), seen(none), Rates(), START).guards

    assert f"no label of {of} has come yet" in guard.says


def test_the_pace_of_labels_is_that_of_the_candidates_units() -> None:
    """Nothing while none comes, as of all else."""
    pace = Pace()
    pace.note(0.0, 10, 5, 3, 1)
    pace.note(10.0, 30, 5, 8, 4)

    assert pace.rates() == Rates(
        units_per_s=2.0, pairs_per_s=None, labelled_per_s=0.5, labelled_pairs_per_s=0.3
    )


@pytest.mark.parametrize(
    ("changes", "verdict"),
    [({"harmful": True}, Verdict.WORSE), ({"good": True}, Verdict.NOT_WORSE)],
)
def test_what_can_be_told_lacks_nothing(changes: Any, verdict: Verdict) -> None:
    """The verdict comes first."""
    found = finding(Metric.ERROR_RATIO, more_units=9, **changes)

    (guard,) = account(rollout(RolloutState.CANARY), seen(found), Rates(1.0), START).guards

    assert (guard.verdict, guard.about_s) == (verdict, None)
    assert guard.says.startswith(verdict.value)
    assert "more units" not in guard.says


def test_numbers_that_json_does_not_have_are_bounded() -> None:
    """No evidence at all, and bounds that are not known yet."""
    found = finding(Metric.ERROR_RATIO, harm_log10=float("-inf"), upper=float("inf"), lower=-1.0)

    (guard,) = account(rollout(RolloutState.CANARY), seen(found), Rates(), START).guards

    told = guard.finding
    assert (told.harm_log10, told.lower, told.upper) == (-999.0, -1.0, None)


@pytest.mark.parametrize("hold", list(Hold))
def test_every_hold_says_what_ends_it(hold: Hold) -> None:
    """And the state that it was held in says what it lacks, too."""
    held = rollout(RolloutState.HELD, hold=hold, held_from=RolloutState.CANARY)

    waits = account(held, Seen(candidate_ready=True), Rates(), START).waits_for

    assert len(waits[0]) > 20
    assert any("units" in each for each in waits[1:])


@pytest.mark.parametrize(
    ("state", "words"),
    [
        (RolloutState.CANARY, "it stays here for 10 s more at least"),
        (RolloutState.BAKING, "it bakes for 60 s more"),
        (RolloutState.ROLLING_BACK, "every gateway process must follow the route back"),
    ],
)
def test_a_state_says_what_it_waits_for(state: RolloutState, words: str) -> None:
    """Time included."""
    assert words in account(rollout(state), seen(), Rates(), START).waits_for


@pytest.mark.parametrize("paused", [False, True])
def test_one_that_begins_waits_for_hosts_and_for_no_counts(paused: bool) -> None:
    """Which come only of who answers or sees copies."""
    now = rollout(RolloutState.STARTING)
    if paused:
        now = rollout(RolloutState.HELD, hold=Hold.PAUSED, held_from=RolloutState.STARTING)

    waits = account(now, seen(fresh=False), Rates(), START).waits_for

    hosts = "the hosts of version 4 must start, and every gateway process be connected to them"
    assert waits[-1] == hosts
    assert len(waits) == 1 + paused


def test_who_is_not_connected_is_counted() -> None:
    """So that nobody takes a candidate that nobody reaches for one without traffic."""
    away = replace(seen(), candidate_ready=False, reaching=(1, 2))

    waits = account(rollout(RolloutState.CANARY), away, Rates(), START).waits_for

    connected = "gateway processes that are connected to the candidate (1 of 2 are)"
    assert waits[0] == f"it has yet to show: {connected}"


def test_what_is_over_waits_for_nothing() -> None:
    """However it ended."""
    assert account(rollout(RolloutState.COMPLETED), Seen(), Rates(), START).waits_for == ()
    baked = account(rollout(RolloutState.BAKING), seen(), Rates(), START + timedelta(hours=1))
    assert baked.waits_for == ("the next look completes it",)


def test_a_change_is_said_in_a_sentence() -> None:
    """What was done, where it is after it, and who gets how much."""
    held = rollout(RolloutState.HELD, hold=Hold.PAUSED, held_from=RolloutState.CANARY)
    assert says(held, "pause", "lunch") == "pause: held (paused); version 4 gets 5 %; lunch"
    shadow = rollout(RolloutState.SHADOW)
    assert "version 4 sees 100 % and answers nobody" in says(shadow, "advance", "ready")
    assert "canary, step 2 of 2" in says(rollout(RolloutState.CANARY, step=1), "advance", "x")


def test_that_some_are_not_counted_is_said() -> None:
    """Whoever reads the figures must know whom they leave out."""
    now = rollout(RolloutState.CANARY)

    (note,) = account(now, replace(seen(), leaves_out=True), Rates(), START).notes
    assert note.startswith("some users with a Weir-Key are not counted")
    assert account(now, seen(), Rates(), START).notes == ()
