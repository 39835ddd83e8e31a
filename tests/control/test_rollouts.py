"""Rollouts over real HTTP."""

from __future__ import annotations

from dataclasses import replace

import httpx
import pytest

from configs.errors import BadInput, Conflict, NotFound, PreconditionFailed, VersionNotFound
from registry.rollouts import Hold, RolloutState
from serve.control.client import ControlClient
from serve.control.rollout_schemas import RolloutView
from serve.rollout.shown import NOTHING
from tests.control.memory_rollouts import SEEN
from tests.control.serving import Api
from tests.control.test_api import error_of

REASON = "the evidence of last week is enough"


@pytest.fixture(name="begun")
def begun_rollout(two_versions: ControlClient) -> RolloutView:
    """A rollout of version 2 that has just begun."""
    return two_versions.start_rollout("credit", 2, {"steps": [5, 50]}, "retrained").rollout


@pytest.fixture(name="canary")
def canary_rollout(begun: RolloutView, api: Api) -> RolloutView:
    """The same at its first step."""
    return RolloutView.of(api.control.rollouts.move(begun.id, state=RolloutState.CANARY))


def test_a_rollout_is_started_and_shown(begun: RolloutView, http: httpx.Client) -> None:
    """With its policy, complete, its weights, and who wanted it; the ETag is its number."""
    answer = http.get(f"/v1/rollouts/{begun.id}")
    shown = answer.json()

    assert answer.headers["ETag"] == '"1"'
    policy = shown.pop("policy")
    assert (policy["steps"], policy["dwell_s"]) == ([5, 50], 300)
    for moment in ("started_at", "entered_at", "at"):
        assert shown.pop(moment).startswith("20")
    assert shown == {
        "id": "r1",
        "model": "credit",
        "stable": 1,
        "candidate": 2,
        "number": 1,
        "state": "starting",
        "step": 0,
        "weights": {"candidate": 0, "baseline": 0, "stable": 100, "shadow": 0},
        "started_by": "ada",
        "by": "ada",
        "reason": "retrained",
        "hold": None,
        "held_from": None,
        "promoted_by": None,
        "approved": [],
        "objective_s": None,
    }


def test_a_canary_shows_who_gets_what(canary: RolloutView) -> None:
    """Of the stable version, the baseline has as much as the candidate."""
    weights = canary.weights
    assert (weights.candidate, weights.baseline, weights.stable) == (5, 5, 90)
    assert canary.step == 1


def test_rollouts_are_listed_the_latest_first(
    begun: RolloutView, api: Api, client: ControlClient
) -> None:
    """Of one model or all, with those that are over or without."""
    api.control.rollouts.move(begun.id, state=RolloutState.ROLLED_BACK)
    again = client.command_rollout(begun.id, "retry").rollout
    assert [each.state.value for each in client.rollouts()] == ["starting", "rolled back"]
    assert [each.number for each in client.rollouts("credit", active=True)] == [again.number]
    with pytest.raises(NotFound, match="no model 'fraud'"):
        client.rollouts("fraud")


@pytest.mark.parametrize(
    ("policy", "words"),
    [
        ({"step": [5]}, "step does not exist. Did you mean 'steps'"),
        ({"guardrails": [{"metric": "error_rate", "margin_abs": 0.1}]}, "guardrails[0].metric"),
        ({"steps": [50, 5]}, "must rise"),
    ],
)
def test_a_policy_that_cannot_be_is_refused_by_name(
    two_versions: ControlClient, policy: dict[str, object], words: str
) -> None:
    """And nothing is started."""
    with pytest.raises(BadInput) as refused:
        two_versions.start_rollout("credit", 2, policy)

    assert words in refused.value.message
    assert two_versions.rollouts() == ()


def test_a_model_has_one_rollout_at_a_time(begun: RolloutView, client: ControlClient) -> None:
    """The sentence says how to end the one that there is."""
    with pytest.raises(Conflict, match=f"weir rollout abort {begun.id}"):
        client.start_rollout("credit", 2)
    with pytest.raises(VersionNotFound):
        client.start_rollout("credit", 9)


def test_a_dry_run_says_what_would_happen_and_changes_nothing(
    canary: RolloutView, client: ControlClient
) -> None:
    """Of a start and of a command alike."""
    would = client.command_rollout(canary.id, "pause", "lunch", dry_run=True)

    assert would.dry_run
    assert (would.rollout.state, would.rollout.hold) == (RolloutState.HELD, Hold.PAUSED)
    assert would.says == "pause: held (paused); version 2 gets 5 %; lunch"
    assert client.rollout(canary.id) == canary
    with pytest.raises(Conflict):
        client.start_rollout("credit", 2, dry_run=True)
    client.command_rollout(canary.id, "abort")


def test_people_steer(canary: RolloutView, api: Api, client: ControlClient) -> None:
    """Each command does what it says, and the changes know who and why."""
    client.command_rollout(canary.id, "pause", "lunch")
    client.command_rollout(canary.id, "resume")
    client.command_rollout(canary.id, "freeze", "the night")
    client.command_rollout(canary.id, "resume")
    client.command_rollout(canary.id, "advance", "it is time")
    done = client.command_rollout(canary.id, "promote", REASON)
    assert done.rollout.promoted_by == "ada"
    client.command_rollout(canary.id, "abort")

    made = client.rollout_changes(canary.id)
    assert [change.action for change in made] == [
        "start",
        "advance",
        *("pause", "resume", "freeze", "resume", "advance", "promote", "abort"),
    ]
    assert (made[2].by, made[2].reason, made[2].hold) == ("ada", "lunch", Hold.PAUSED)
    api.control.rollouts.move(canary.id, state=RolloutState.COMPLETED)
    api.control.rollouts.seen = replace(SEEN, previous=1)
    back = client.command_rollout(canary.id, "rollback", "customers complain")
    assert back.rollout.state is RolloutState.ROLLING_BACK


def test_promotion_without_evidence_takes_a_reason(canary: RolloutView, http: httpx.Client) -> None:
    """A body without one is refused, and so is an empty one."""
    for body in ({}, {"reason": ""}):
        answer = http.post(f"/v1/rollouts/{canary.id}:promote", json=body)
        assert "reason" in error_of(answer, 400, "bad_input")


def test_who_was_overtaken_is_told(canary: RolloutView, client: ControlClient) -> None:
    """A command that was meant for an older state changes nothing."""
    client.command_rollout(canary.id, "pause", if_number=canary.number)
    with pytest.raises(PreconditionFailed):
        client.command_rollout(canary.id, "resume", if_number=canary.number)
    assert client.rollout(canary.id).state is RolloutState.HELD


def test_a_command_that_is_sent_again_is_done_once(canary: RolloutView, http: httpx.Client) -> None:
    """Under the same key the second answer is the first one."""
    answers = [
        http.post(f"/v1/rollouts/{canary.id}:pause", json={}, headers={"Idempotency-Key": "k"})
        for _ in range(2)
    ]
    assert [answer.status_code for answer in answers] == [200, 200]
    assert answers[0].content == answers[1].content
    assert answers[0].headers["ETag"] == f'"{canary.number + 1}"'
    answer = http.post(f"/v1/rollouts/{canary.id}:pause", json={})
    assert "resume" in error_of(answer, 409, "conflict")


def test_somebody_else_has_to_approve(two_versions: ControlClient, api: Api) -> None:
    """Where the policy says so, another than who started it; the gate may be named."""
    policy = {"approvals": {"before": ["canary", "promotion"]}}
    begun = two_versions.start_rollout("credit", 2, policy).rollout
    with pytest.raises(Conflict, match="somebody else"):
        two_versions.approve_rollout(begun.id)
    with ControlClient(api.url, "grace") as grace:
        grace.approve_rollout(begun.id)
        done = grace.approve_rollout(begun.id, "promotion", "seen it")

    assert done.rollout.approved == ("canary", "promotion")
    assert (done.rollout.by, done.rollout.reason) == ("grace", "seen it")


def test_how_it_stands_is_explained(canary: RolloutView, api: Api, client: ControlClient) -> None:
    """Counts, evidence and what it must reach, interval, what is missing, and about how long."""
    account = client.explain_rollout(canary.id)
    (guard,) = account.guardrails

    assert guard.verdict == "cannot tell yet"
    assert (guard.events["candidate"], guard.units["baseline"]) == (3, 1190)
    assert (guard.harm_log10, guard.harm_at, guard.good_log10) == (0.5, 2.8, 1.0)
    assert (guard.estimate, guard.lower, guard.upper) == (0.001, -0.01, 0.012)
    assert (guard.more_units, guard.about_s) == (3000, 1500.0)
    assert "candidate 3 of 1,200, baseline 2 of 1,190" in guard.says
    assert "about 3,000 more units, 25 minutes at the present rate" in guard.says
    assert account.units_per_s == 2.0
    assert account.waits_for == ("it stays here for 5 minutes more at least",)


def test_what_decides_nothing_is_shown_beside(
    canary: RolloutView, api: Api, client: ControlClient
) -> None:
    """Quantiles of how long answers took, by arm, and how scores changed, if anything is known."""
    account = client.explain_rollout(canary.id)

    candidate, stable = account.times
    assert (candidate.arm, stable.arm, stable.answers, stable.none) == (
        "candidate",
        "stable",
        1000,
        3,
    )
    assert [each.share for each in stable.within] == [0.5, 0.95, 0.99]
    half = stable.within[0]
    assert half.estimate_s == half.upper_s == pytest.approx(0.00867, rel=0.01)
    assert half.lower_s == pytest.approx(0.00694, rel=0.01)
    assert half.says == "8.7 ms (6.9 ms to 8.7 ms)"
    assert "50 % within 8.7 ms" in stable.says
    change = account.score_change
    assert change is not None
    assert change.lower is not None
    assert (change.rows, change.estimate) == (2000, 0.01)
    assert change.lower < 0.01
    assert "scores changed by +0.01 on average" in change.says

    api.control.rollouts.beside = NOTHING
    account = client.explain_rollout(canary.id)
    assert (account.times, account.score_change) == ((), None)


@pytest.mark.parametrize(
    "verb",
    ["pause", "resume", "advance", "promote", "abort", "freeze", "retry", "approve", "rollback"],
)
def test_an_unknown_rollout_is_not_found(http: httpx.Client, verb: str) -> None:
    """Whatever is wanted of it."""
    answer = http.post(f"/v1/rollouts/nothing:{verb}", json={"reason": "x"})
    assert "no rollout 'nothing'" in error_of(answer, 404, "not_found")
    error_of(http.get("/v1/rollouts/nothing"), 404, "not_found")
    error_of(http.get("/v1/rollouts/nothing/explain"), 404, "not_found")
    error_of(http.get("/v1/rollouts/nothing/changes"), 404, "not_found")
    error_of(http.post("/v1/rollouts/nothing:win", json={}), 405, "method_not_allowed")
