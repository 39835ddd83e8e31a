"""Simulated rollouts end as real ones would."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta
from typing import Any

import numpy as np
import pytest

from configs.errors import Refused
from configs.policy import Approvals, Guardrail, Metric, Policy, ShadowStage
from registry.rollouts import Hold, RolloutState
from serve.rollout.evidence import Evidence, fold, fold_pairs
from serve.rollout.guardrails import SignalsSeen, judge, split_is_suspect
from serve.rollout.machine import Seen, decide, division
from serve.rollout.simulation.agreements import Agreements
from serve.rollout.simulation.counts import Counts, Flags, Ints
from serve.rollout.simulation.crowd import Crowd
from serve.rollout.simulation.outcomes import End
from serve.rollout.simulation.setting import Setting
from serve.rollout.simulation.traffic import Requests, Stream, Traffic
from serve.rollout.simulation.weir_runs import START, run_weir, started
from serve.rollout.tallies import JudgedArm, Pairs, Tally

POLICY = Policy(
    steps=(10, 50),
    dwell_s=60.0,
    bake_s=120.0,
    step_max_s=1500.0,
    shadow=ShadowStage(min_pairs=100),
    guardrails=(
        Guardrail(metric=Metric.ERROR_RATIO, margin_abs=0.03),
        Guardrail(metric=Metric.LATENCY_OVER_SLO, margin_rel=1.5),
        Guardrail(metric=Metric.SHADOW_DISAGREEMENT, max=0.1),
    ),
)
TRAFFIC = Traffic(rate=15.0, swing=0.5, noise=0.3, incidents=3.0, sticky=0.3)
SETTING = Setting(rollouts=6, horizon_s=3600.0, tick_s=10.0)

Tick = tuple[dict[JudgedArm, Tally], Pairs]


class Tape:
    """What each rollout counted in each tick."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.ticks: dict[int, list[Tick]] = {row: [] for row in range(SETTING.rollouts)}
        self._counts: dict[int, Mapping[JudgedArm, Tally]] = {}
        tick, pairs = Stream.tick, Agreements.fold

        def told(
            stream: Stream, now_s: float, length_s: float, rows: Ints, ours: Ints, beside: Ints
        ) -> tuple[Counts, Requests]:
            counts, came = tick(stream, now_s, length_s, rows, ours, beside)
            self._counts = {int(row): counts.of(at) for at, row in enumerate(rows)}
            return counts, came

        def paired(agreements: Agreements, rows: Ints, count: Ints, otherwise: Ints) -> None:
            for at, row in enumerate(rows):
                more = Pairs(rows=int(count[at]), disagreements=int(otherwise[at]))
                self.ticks[int(row)].append((dict(self._counts[int(row)]), more))
            pairs(agreements, rows, count, otherwise)

        def look_once(crowd: Crowd, rows: Ints, *counted: Any) -> Flags:
            # As a real rollout does, which looks at all that came in a second.
            crowd.fold(rows, *counted[:-1])
            return crowd.harmful(rows)

        monkeypatch.setattr(Stream, "tick", told)
        monkeypatch.setattr(Agreements, "fold", paired)
        monkeypatch.setattr(Crowd, "fold_looking", look_once)

    def play(self, row: int) -> tuple[End, float]:
        """The end of one rollout by the functions that real ones are decided with."""
        rollout, evidence = started(row), Evidence.begin(POLICY)
        for tick, (tallies, pairs) in enumerate(self.ticks[row]):
            parts = division(rollout, POLICY)
            shares = {
                JudgedArm.CANDIDATE: parts.candidate_bp,
                JudgedArm.BASELINE: parts.baseline_bp,
                JudgedArm.STABLE: parts.stable_bp,
            }
            evidence = fold(evidence, shares, tallies, rollout.step, tick * SETTING.tick_s)
            evidence = fold_pairs(evidence, pairs)
            end_s = (tick + 1) * SETTING.tick_s
            findings = judge(evidence, POLICY, True, SignalsSeen(), shown=False)
            suspect = split_is_suspect(evidence, POLICY)
            seen = Seen(findings, suspect, candidate_ready=True, fresh=True, settled=True)
            while move := decide(rollout, POLICY, seen, START + timedelta(seconds=end_s)):
                rollout = move.rollout
            if rollout.state is RolloutState.COMPLETED:
                return End.PROMOTED, end_s
            if rollout.state is RolloutState.ROLLED_BACK:
                return End.ROLLED_BACK, end_s
            if rollout.hold in (Hold.INCONCLUSIVE, Hold.SPLIT):
                return End.HELD, end_s
        return End.OPEN, SETTING.horizon_s


@pytest.mark.parametrize(
    ("worse", "end"), [(1.0, End.PROMOTED), (2.2, End.ROLLED_BACK), (12.0, End.ROLLED_BACK)]
)
def test_a_simulated_rollout_ends_as_a_real_one(
    monkeypatch: pytest.MonkeyPatch, worse: float, end: End
) -> None:
    """At the same moment, on the same counts."""
    tape = Tape(monkeypatch)
    traffic = Traffic(
        rate=TRAFFIC.rate,
        swing=TRAFFIC.swing,
        noise=TRAFFIC.noise,
        sticky=TRAFFIC.sticky,
        worse={Metric.ERROR_RATIO: worse, Metric.LATENCY_OVER_SLO: worse},
    )
    outcomes = run_weir(POLICY, traffic, SETTING)
    simulated = [
        (End(each), after) for each, after in zip(outcomes.end, outcomes.after_s, strict=True)
    ]
    assert simulated == [tape.play(row) for row in range(SETTING.rollouts)]
    assert end in {each for each, _ in simulated}


def test_a_paused_rollout_goes_on_where_it_was() -> None:
    """And all the same ends well."""
    often = Setting(rollouts=60, horizon_s=7200.0, pauses=6.0, pause_s=120.0)
    paused = run_weir(POLICY, TRAFFIC, often)
    free = run_weir(POLICY, TRAFFIC, Setting(rollouts=60, horizon_s=7200.0))
    assert paused.share(End.ROLLED_BACK).count == 0
    assert np.median(paused.after_s) > np.median(free.after_s)


def test_nobody_decides_without_traffic() -> None:
    """It is held when its longest time is over."""
    outcomes = run_weir(POLICY, Traffic(rate=1e-6), SETTING)
    assert outcomes.share(End.HELD).value == 1.0


@pytest.mark.parametrize(
    "policy",
    [
        Policy(guardrails=(Guardrail(metric=Metric.QUALITY_LOSS, margin_abs=0.1),)),
        Policy(guardrails=(Guardrail(metric=Metric.ERROR_RATIO, margin_abs=0.1, cluster_s=60.0),)),
        Policy(approvals=Approvals(before=("canary",))),
    ],
)
def test_what_generated_traffic_cannot_show_is_refused(policy: Policy) -> None:
    """Rather than simulated as never shown."""
    with pytest.raises(Refused):
        run_weir(policy, TRAFFIC, SETTING)
