"""What people want of rollouts is done once, on the state that they have seen, or refused."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from configs.errors import BadInput, Conflict, PreconditionFailed, Unavailable
from configs.policy import Alpha, Approvals, ShadowStage
from configs.settings import Rollouts
from registry.records import FULL
from registry.rollouts import Hold, RolloutState
from serve.rollout.account import policy_of
from serve.rollout.commands import Command
from serve.rollout.desk import RolloutDesk
from serve.rollout.service import Order, Start
from serve.rollout.tallies import JudgedArm
from tests.serve.rollout.conducting import QUICK, Stand
from tests.serve.versions import MODEL


async def test_keys_of_a_start_overrule_those_of_the_model(stand: Stand) -> None:
    """And those of the model the default; the rollout keeps what came of it."""
    settings = Rollouts.model_validate(
        {"default": {"bake_s": 7, "dwell_s": 8}, "models": {MODEL: {"dwell_s": 9}}}
    )
    desk = RolloutDesk(stand.registry, stand.conductor, settings, stand.counts, stand.clock)

    begun = (await desk.start(Start(MODEL, 2, "ada", policy={"steps": [10]}))).rollout

    policy = policy_of(begun)
    assert (policy.steps, policy.dwell_s, policy.bake_s) == ((10,), 9, 7)
    assert policy_of(stand.rollout) == policy


async def test_a_section_of_a_policy_keeps_what_is_left_out_of_it(stand: Stand) -> None:
    """As far as the start says nothing of it, the model's counts, then the default's."""
    settings = Rollouts.model_validate(
        {
            "default": {
                "alpha": {"rollback": 0.002, "promote": 0.02, "split": 0.0002},
                "shadow": {"fraction": 0.5, "min_pairs": 7},
                "approvals": {"before": ["promotion"], "by_another": False},
            },
            "models": {
                MODEL: {
                    "alpha": {"promote": 0.03},
                    "shadow": {"min_pairs": 8},
                    "approvals": {"by_another": True},
                }
            },
        }
    )
    configured = settings.policy(MODEL)
    assert configured.alpha == Alpha(rollback=0.002, promote=0.03, split=0.0002)
    assert configured.shadow == ShadowStage(fraction=0.5, min_pairs=8)
    assert configured.approvals == Approvals(before=("promotion",), by_another=True)

    desk = RolloutDesk(stand.registry, stand.conductor, settings, stand.counts, stand.clock)
    own = {"alpha": {"split": 0.01}, "shadow": {"fraction": 0.25}, "approvals": {"before": []}}
    policy = policy_of((await desk.start(Start(MODEL, 2, "ada", policy=own))).rollout)

    assert policy.alpha == Alpha(rollback=0.002, promote=0.03, split=0.01)
    assert policy.shadow == ShadowStage(fraction=0.25, min_pairs=8)
    assert policy.approvals == Approvals(before=(), by_another=True)


async def test_a_policy_that_cannot_be_is_refused_by_name(stand: Stand) -> None:
    """A key that does not exist, and a metric that does not."""
    for policy, words in (
        ({"dwel_s": 5}, "dwel_s does not exist. Did you mean 'dwell_s'"),
        ({"guardrails": [{"metric": "speed"}]}, "guardrails[0].metric"),
    ):
        with pytest.raises(BadInput) as refused:
            await stand.desk.start(Start(MODEL, 2, "ada", policy=policy))
        assert words in refused.value.message
    assert stand.registry.rollouts(MODEL) == ()


async def test_a_dry_run_changes_nothing(stand: Stand) -> None:
    """It says what would be, or what would be refused."""
    start = Start(MODEL, 2, "ada", "better", QUICK, dry=True)
    tried = await stand.desk.start(start)
    assert (tried.tried, tried.rollout.id, tried.rollout.stable) == (True, "", 1)
    assert stand.registry.rollouts(MODEL) == ()
    with pytest.raises(Conflict, match="has all of the traffic already"):
        await stand.desk.start(Start(MODEL, 1, "ada", dry=True))

    await stand.start()
    before = await stand.until(RolloutState.CANARY)
    would = await stand.order(Command.ABORT, dry=True)
    assert (would.tried, would.rollout.state) == (True, RolloutState.ROLLING_BACK)
    assert stand.rollout == before
    with pytest.raises(Conflict):
        await stand.desk.start(start)


async def test_an_abort_is_there_when_it_answers(stand: Stand) -> None:
    """Also while a step waits for hosts that do not come."""
    await stand.start()
    await stand.until(RolloutState.CANARY)
    stand.stage.hosts.clear()
    stand.clock.later(11.0)
    stand.serve()
    await stand.look(0.0)

    await stand.order(Command.ABORT, reason="changed our minds")

    assert stand.weights == {1: FULL}
    assert (stand.rollout.by, stand.rollout.reason) == ("ada", "changed our minds")
    stand.stage.hosts.set()
    await stand.rest()
    assert stand.weights == {1: FULL}


async def test_who_was_overtaken_is_told(stand: Stand) -> None:
    """The number that somebody has seen must be the present one."""
    await stand.start()
    seen = await stand.until(RolloutState.CANARY)
    await stand.order(Command.PAUSE, if_number=seen.number)

    with pytest.raises(PreconditionFailed, match=f"is at change {seen.number + 1}"):
        await stand.order(Command.RESUME, if_number=seen.number)
    assert stand.rollout.hold is Hold.PAUSED


async def test_a_step_by_hand_waits_for_its_hosts(stand: Stand) -> None:
    """What keeps it from being made is said to whoever wanted it, and nothing has changed."""
    await stand.start(min_units=100_000)
    await stand.until(RolloutState.CANARY)
    stand.stage.fails = Unavailable("not every gateway replica could reach it")
    with pytest.raises(Unavailable):
        await stand.order(Command.ADVANCE, reason="it is time")
    assert stand.weights == {1: 9500, 2: 500}
    stand.stage.fails = None

    done = await stand.order(Command.ADVANCE, reason="it is time")

    assert (done.rollout.step, stand.weights) == (1, {1: 5000, 2: 5000})


async def test_a_canary_that_is_entered_by_hand_knows_what_is_late(stand: Stand) -> None:
    """Just as one that was entered by itself."""
    await stand.start(shadow={"min_pairs": 10**6})
    await stand.look()
    stand.serve(500)
    await stand.look()
    done = await stand.order(Command.ADVANCE, reason="it is time")

    assert done.rollout.state is RolloutState.CANARY
    assert done.rollout.objective_s is not None


async def test_one_that_was_rolled_back_is_tried_again(stand: Stand) -> None:
    """As a rollout of its own, with the same policy and evidence from nothing."""
    first = await stand.start()
    await stand.until(RolloutState.CANARY)
    await stand.order(Command.ABORT)
    for _ in range(2):
        await stand.look()
    tried = await stand.order(Command.RETRY, dry=True)
    assert tried.tried

    again = (await stand.order(Command.RETRY, by="grace")).rollout

    assert again.id != first.id
    assert (again.policy, again.started_by) == (first.policy, "grace")
    await stand.until(RolloutState.COMPLETED)
    with pytest.raises(Conflict):
        await stand.desk.command(first.id, Order(Command.ABORT, "ada"))


async def test_how_one_stands_is_explained(stand: Stand) -> None:
    """With rates, and what it waits for; also when it is over."""
    await stand.start(min_units=100_000)
    await stand.until(RolloutState.CANARY)
    await stand.look()
    stand.source["g1"] = replace(stand.source["g1"], leaves_out=True)
    for _ in range(3):
        stand.clock.later(5.0)
        stand.serve(1000)
        await stand.look(0.0)
    account = await stand.desk.explain(stand.rollout.id)

    assert account.rates.units_per_s == pytest.approx(150 / 15)
    assert any("100000 units" in each for each in account.waits_for)
    assert len(account.notes) == 1
    errors = account.guards[0]
    assert errors.says.startswith("cannot tell yet") or errors.says.startswith("not worse")
    await stand.order(Command.ABORT)
    for _ in range(2):
        await stand.look()
    over = await stand.desk.explain(stand.rollout.id)
    assert (over.waits_for, over.notes) == ((), account.notes)
    assert over.guards[0].finding.units == errors.finding.units


async def test_what_was_counted_beside_is_shown_after_a_restart_too(stand: Stand) -> None:
    """How long answers of each arm took, over all gateway processes, and how scores changed."""
    await stand.start(min_units=100_000)
    await stand.until(RolloutState.CANARY)
    for source in ("g1", "g2"):
        stand.serve(20_000, source=source)
    await stand.look()
    before = await stand.desk.explain(stand.rollout.id)
    stand.open()

    after = await stand.desk.explain(stand.rollout.id)

    assert after.shown == before.shown
    by_arm = {each.arm: each for each in after.shown.times}
    assert by_arm.keys() == set(JudgedArm)
    assert by_arm[JudgedArm.CANDIDATE].answers == by_arm[JudgedArm.BASELINE].answers == 2000
    assert by_arm[JudgedArm.CANDIDATE].within[2].upper_s == pytest.approx(0.01, rel=0.25)
    change = after.shown.score_change
    assert change is not None
    assert "none has a score in both versions" in change.says


async def test_rollouts_are_given_the_latest_first(stand: Stand) -> None:
    """With those that are over or without."""
    first = await stand.start()
    await stand.order(Command.ABORT)
    await stand.look()
    second: Any = await stand.start()
    found = [each.id for each in await stand.desk.all(MODEL, active_only=False)]

    assert found == [second.id, first.id]
    assert [each.id for each in await stand.desk.all(None, active_only=True)] == [second.id]
    assert len(await stand.desk.changes(first.id)) >= 2
