"""Random findings, commands and clocks: what no rollout may ever do."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from configs.errors import BadInput, Conflict
from configs.policy import Approvals, Guardrail, Metric, Policy, ShadowStage
from registry.rollouts import Hold, Rollout, RolloutState
from serve.rollout.machine import Command, Move, Seen, command, decide, division
from serve.rollout.tallies import JudgedArm
from tests.serve.rollout import cases

S = RolloutState

_guardrails = st.sets(st.sampled_from(Metric), min_size=1).flatmap(
    lambda metrics: st.tuples(*[_guardrail(metric) for metric in sorted(metrics)])
)


def _guardrail(metric: Metric) -> st.SearchStrategy[Guardrail]:
    if metric is Metric.SHADOW_DISAGREEMENT:
        margin: dict[str, float] = {"max": 0.02}
    elif metric is Metric.SIGNALS:
        margin = {}
    else:
        margin = {"margin_abs": 0.01}
    return st.booleans().map(lambda optional: Guardrail(metric=metric, optional=optional, **margin))


def _policy(guardrails: tuple[Guardrail, ...]) -> st.SearchStrategy[Policy]:
    needs = any(each.metric is Metric.SHADOW_LOSS and not each.optional for each in guardrails)
    fractions = [0.25, 1.0] if needs else [0.0, 0.25, 1.0]
    return st.builds(
        Policy,
        steps=st.sets(st.integers(1, 9999), min_size=1, max_size=4).map(
            lambda points: tuple(point / 100 for point in sorted(points))
        ),
        holdback=st.integers(1, 9999).map(lambda points: points / 100),
        baseline_max=st.integers(1, 9999).map(lambda points: points / 100),
        dwell_s=st.just(300.0),
        step_max_s=st.just(7200.0),
        bake_s=st.just(1800.0),
        shadow=st.builds(ShadowStage, fraction=st.sampled_from(fractions)),
        guardrails=st.just(guardrails),
        on_inconclusive=st.sampled_from(["hold", "rollback"]),
        approvals=st.builds(
            Approvals,
            before=st.lists(st.sampled_from(["canary", "promotion"]), unique=True).map(tuple),
            by_another=st.booleans(),
        ),
    )


_policies = _guardrails.flatmap(_policy)
_people = st.sampled_from(["ada", "bob", ""])
_reasons = st.sampled_from(["", "because"])
_kinds = st.sampled_from(["nothing", "none yet", "good", "good", "good", "harmful"])


class Play(RuleBasedStateMachine):
    """One rollout, with whatever may happen to it."""

    @initialize(policy=_policies)
    def _begin(self, policy: Policy) -> None:
        self.policy = policy
        self.rollout = cases.rollout(started_by="ada")
        self.now = cases.START
        self.seen = Seen()
        self.proved = False

    @rule(data=st.data(), units=st.sampled_from([0, 49, 50, 600]))
    def _evidence_comes(self, data: st.DataObject, units: int) -> None:
        kinds = {each.metric: data.draw(_kinds) for each in self.policy.guardrails}
        findings = tuple(
            cases.finding(
                metric,
                units=units,
                good=kind == "good" and units > 0,
                harmful=kind == "harmful",
                optional=data.draw(st.booleans())
                if metric is Metric.SHADOW_DISAGREEMENT
                else False,
            )
            for metric, kind in kinds.items()
            if kind != "nothing"
        )
        self.seen = replace(self.seen, findings=findings)

    @rule(metrics=st.just(None))
    def _all_is_well(self, metrics: None) -> None:
        del metrics
        self.seen = replace(cases.good(self.policy), previous=self.rollout.stable)

    @rule(
        ready=st.booleans(),
        fresh=st.booleans(),
        awaited=st.booleans(),
        settled=st.booleans(),
        split=st.sampled_from([False, False, False, True]),
        failed=st.sampled_from([None, None, None, "no host could be started"]),
        previous=st.sampled_from([None, 3]),
    )
    def _the_world_turns(
        self,
        ready: bool,
        fresh: bool,
        awaited: bool,
        settled: bool,
        split: bool,
        failed: str | None,
        previous: int | None,
    ) -> None:
        self.seen = replace(
            self.seen,
            candidate_ready=ready,
            fresh=fresh,
            awaited=awaited and not fresh,
            settled=settled,
            split_suspect=split,
            failed=failed,
            previous=previous,
        )

    @rule(seconds=st.sampled_from([-100_000, -400, 0, 200, 301, 301, 301, 1801, 7201]))
    def _it_decides(self, seconds: int) -> None:
        self.now += timedelta(seconds=seconds)
        before, move = self.rollout, decide(self.rollout, self.policy, self.seen, self.now)
        if _judged(before) and self._harmful():
            assert move is not None
            assert move.rollout.state is S.ROLLING_BACK
        elif _judged(before) and not self.seen.fresh and before.state is not S.STARTING:
            waits = before.state is S.HELD or self.seen.awaited
            assert self.seen.failed or waits or move is not None
            assert move is None or division(move.rollout, self.policy).candidate_bp in (
                0,
                _weight(before, self.policy),
            )
        if move is not None:
            self._check_by_itself(before, move)
            self._accept(before, move)

    @rule(what=st.sampled_from(Command), by=_people, reason=_reasons)
    def _somebody_says(self, what: Command, by: str, reason: str) -> None:
        before = self.rollout
        try:
            move = command(before, self.policy, what, by, reason, self.now, self.seen)
        except (BadInput, Conflict):
            return
        assert by in ("ada", "bob")
        if what is Command.RETRY:
            assert before.state in (S.ROLLED_BACK, S.FAILED)
            assert move.rollout is before
            return
        self._check_command(before, move, what, by, reason)
        self._accept(before, move)

    def _accept(self, before: Rollout, move: Move) -> None:
        after = move.rollout
        assert after.number == before.number + 1
        assert after.at >= before.at
        assert after.entered_at >= before.entered_at
        assert after.reason
        assert (after.hold is None) == (after.held_from is None) == (after.state is not S.HELD)
        self.rollout = after

    def _check_by_itself(self, before: Rollout, move: Move) -> None:
        after = move.rollout
        assert after.by == "weir"
        assert after.promoted_by == before.promoted_by
        waited = self.now - datetime.fromisoformat(before.entered_at)
        if after.state is S.ROLLING_BACK:
            timed_out = self.policy.on_inconclusive == "rollback" and waited.total_seconds() >= 7200
            assert self._harmful() or self.seen.failed or timed_out
        if after.state is S.PROMOTING and before.held_from is not S.PROMOTING:
            assert before.state is S.CANARY
            assert before.step == len(self.policy.steps) - 1
            assert waited.total_seconds() >= 300
            self._promotion_is_earned()
        if after.state is S.BAKING and before.held_from is not S.BAKING:
            assert before.state is S.PROMOTING
            assert self.seen.settled
        if after.state is S.COMPLETED:
            assert before.state is S.BAKING
            assert waited.total_seconds() >= 1800
        if _weight(after, self.policy) > _weight(before, self.policy):
            assert self.seen.fresh or before.state is S.STARTING
            assert not self.seen.split_suspect
            assert self.seen.failed is None
            assert before.state is not S.HELD
            if before.state is S.CANARY and self._counts_units():
                assert self.seen.findings
                assert max(_units(self.seen).values(), default=0) >= self.policy.min_units
        if after.hold is Hold.APPROVAL:
            assert self.policy.approvals.before

    def _check_command(
        self, before: Rollout, move: Move, what: Command, by: str, reason: str
    ) -> None:
        after = move.rollout
        assert after.by == by
        heavier = _weight(after, self.policy) > _weight(before, self.policy)
        if heavier:
            assert what in (Command.ADVANCE, Command.APPROVE, Command.PROMOTE)
            assert not self._harmful()
            assert not self.seen.split_suspect
            assert self.seen.fresh
            assert before.hold not in (Hold.FROZEN, Hold.SPLIT, Hold.STALE)
        if after.state is S.PROMOTING and _from(before) is not S.PROMOTING:
            assert set(self.policy.approvals.before) <= set(after.approved)
            if what is Command.PROMOTE:
                assert reason
                assert after.promoted_by == by
                self.proved = True
            else:
                assert what in (Command.ADVANCE, Command.APPROVE)
                self._promotion_is_earned()
        else:
            assert after.promoted_by == before.promoted_by
        if what is Command.APPROVE and self.policy.approvals.by_another:
            assert by != before.started_by
        if before.state is S.COMPLETED:
            assert what is Command.ROLLBACK
            assert self.seen.previous == before.stable
        if what in (Command.ABORT, Command.ROLLBACK):
            assert after.state is S.ROLLING_BACK

    def _promotion_is_earned(self) -> None:
        said = {each.metric: each for each in self.seen.findings}
        for guardrail in self.policy.guardrails:
            finding = said.get(guardrail.metric)
            if finding is not None:
                assert not finding.harmful
            if not guardrail.optional and not (finding is not None and finding.optional):
                assert finding is not None
                assert finding.good
        assert any(each.good for each in self.seen.findings)
        self.proved = True

    def _harmful(self) -> bool:
        return any(
            each.harmful and each.metric is not Metric.SIGNALS for each in self.seen.findings
        )

    def _counts_units(self) -> bool:
        unpaired = {Metric.SHADOW_DISAGREEMENT, Metric.FAIRNESS_GAP, Metric.SIGNALS}
        return any(each.metric not in unpaired for each in self.policy.guardrails)

    @invariant()
    def _shares_sum_to_all_and_follow_the_policy(self) -> None:
        if not hasattr(self, "rollout"):
            return
        parts = division(self.rollout, self.policy)
        assert min(parts.candidate_bp, parts.baseline_bp, parts.stable_bp, parts.shadow_bp) >= 0
        assert parts.candidate_bp + parts.baseline_bp + parts.stable_bp == 10_000
        state = _from(self.rollout)
        if state in (S.CANARY, S.PROMOTING):
            step = round(self.policy.steps[self.rollout.step] * 100)
            assert parts.candidate_bp == step
            wanted = min(step, round(self.policy.baseline_max * 100))
            assert parts.baseline_bp == min(wanted, 10_000 - step)
        elif state is S.BAKING:
            assert parts.stable_bp == round(self.policy.holdback * 100)
            assert parts.baseline_bp == 0
        else:
            assert parts.candidate_bp == (10_000 if state is S.COMPLETED else 0)

    @invariant()
    def _nobody_is_promoted_without_evidence_or_a_name(self) -> None:
        if hasattr(self, "rollout") and _from(self.rollout) in (S.PROMOTING, S.BAKING, S.COMPLETED):
            assert self.proved


def _from(rollout: Rollout) -> RolloutState:
    return rollout.held_from or rollout.state


def _judged(rollout: Rollout) -> bool:
    return not rollout.state.over and rollout.state is not S.ROLLING_BACK


def _weight(rollout: Rollout, policy: Policy) -> int:
    return division(rollout, policy).candidate_bp


def _units(seen: Seen) -> dict[Metric, int]:
    return {each.metric: each.units[JudgedArm.CANDIDATE] for each in seen.findings}


TestPlay = Play.TestCase
TestPlay.settings = settings(max_examples=150, stateful_step_count=60, deadline=None)
