"""Rollouts as the state machine decides on them, on the evidence of generated traffic.

Evidence is that of a crowd; what happens next is decided by `serve.rollout.machine`, asked for a
rollout whenever something that it could decide on may have changed.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import numpy as np

from configs.errors import Refused
from configs.policy import EVENTS, Metric, Policy
from registry.moments import utc_text
from registry.records import FULL
from registry.rollouts import Hold, Rollout, RolloutState
from serve.rollout.evidence import Shares
from serve.rollout.finding import Finding
from serve.rollout.machine import Command, Division, Move, Seen, command, decide, division
from serve.rollout.simulation.agreements import Agreements
from serve.rollout.simulation.counts import Flags, Ints
from serve.rollout.simulation.crowd import Crowd
from serve.rollout.simulation.outcomes import End, Outcomes
from serve.rollout.simulation.rival_runs import bad_events
from serve.rollout.simulation.setting import Setting
from serve.rollout.simulation.traffic import Stream, Traffic
from serve.rollout.tallies import JudgedArm

START = datetime(2026, 1, 1, tzinfo=UTC)
_OPERATOR = "operator"
_JUDGED = frozenset({*EVENTS, Metric.SHADOW_DISAGREEMENT, Metric.SIGNALS})


def run_weir(policy: Policy, traffic: Traffic, setting: Setting) -> Outcomes:
    """How rollouts end under a policy.

    Raises:
        Refused: the policy asks for what generated traffic cannot show, or for approvals.

    """
    for guardrail in policy.guardrails:
        if guardrail.metric not in _JUDGED and not guardrail.optional:
            message = (
                f"{guardrail.metric.value} needs labels or groups, which generated traffic does "
                "not have: make it optional to simulate this policy"
            )
            raise Refused(message)
        if guardrail.block_s > setting.tick_s:
            message = (
                f"cluster_s {guardrail.block_s:g} of {guardrail.metric.value} is longer than what "
                f"is simulated at once, {setting.tick_s:g} s"
            )
            raise Refused(message)
    if policy.approvals.before:
        message = "a simulation has nobody to approve: leave approvals out of the policy"
        raise Refused(message)
    return _Run(policy, traffic, setting).outcomes()


class _Run:
    """Some rollouts on their way; arrays are by rollout."""

    def __init__(self, policy: Policy, traffic: Traffic, setting: Setting) -> None:
        size = setting.rollouts
        self._policy, self._setting = policy, setting
        self._divisions = _divisions(policy)
        shares: list[Shares] = [
            (each.candidate_bp, each.baseline_bp, each.stable_bp) for each in self._divisions
        ]
        self._crowd = Crowd(
            policy,
            shares,
            size,
            same_behaviour=setting.same_behaviour,
            length_s=setting.tick_s,
        )
        self._pairs = Agreements(policy, size, same_behaviour=setting.same_behaviour)
        self._stream = Stream(traffic, size, setting.seed)
        self._rng = np.random.default_rng(setting.seed + 1)
        self._rollouts = [started(number) for number in range(size)]
        self._split = np.zeros(size, np.int64)
        self._step = np.zeros(size, np.int64)
        self._state = np.full(size, _code(RolloutState.STARTING))
        self._since = np.zeros(size)
        self._suspect = np.zeros(size, bool)
        self._resume_s = np.full(size, np.inf)
        self._end = np.zeros(size, np.int64)
        self._after_s = np.full(size, setting.horizon_s)
        self._exposed, self._bad, self._requests = (np.zeros(size, np.int64) for _ in range(3))

    def outcomes(self) -> Outcomes:
        """Play them to their ends, or to the horizon."""
        for tick in range(int(self._setting.horizon_s / self._setting.tick_s)):
            going = np.flatnonzero(self._end == End.OPEN)
            if not going.size:
                break
            self._play(going, tick * self._setting.tick_s)
        return Outcomes("Weir", self._end, self._after_s, self._exposed, self._bad, self._requests)

    def _play(self, rows: Ints, now_s: float) -> None:
        tick_s = self._setting.tick_s
        split = self._split[rows]
        parts = np.array([(each.candidate_bp, each.baseline_bp) for each in self._divisions])
        ours, beside = parts[split].T
        counts, came = self._stream.tick(now_s, tick_s, rows, ours, beside)
        self._exposed[rows] += came.all
        self._requests[rows] += came.total
        self._bad[rows] += bad_events(counts)
        minute = np.full(len(rows), int(now_s // 60))
        harm = self._crowd.fold_looking(rows, split, counts, self._step[rows], minute, self._rng)
        shadowed = np.array([each.shadow_bp for each in self._divisions])[split] / FULL
        copied = self._rng.binomial(came.total, shadowed)
        self._pairs.fold(rows, copied, self._stream.disagreements(copied))
        end_s = now_s + tick_s
        self._pause_and_resume(rows, end_s)
        self._suspect[rows] |= self._crowd.suspect(rows)
        harm |= self._pairs.harmful(rows)
        for at in np.flatnonzero(harm | self._suspect[rows] | self._due(rows, end_s)):
            self._decide(int(rows[at]), end_s, bool(harm[at]))

    def _due(self, rows: Ints, now_s: float) -> Flags:
        """Whether waiting alone, or what has been shown, may let a rollout go on."""
        policy, state = self._policy, self._state[rows]
        waited = now_s - self._since[rows]
        trying = (state == _code(RolloutState.CANARY)) | (state == _code(RolloutState.SHADOW))
        last = (state == _code(RolloutState.CANARY)) & (self._step[rows] == len(policy.steps) - 1)
        ready = np.where(trying, waited >= policy.dwell_s, waited >= policy.bake_s)
        shown = np.ones(len(rows), bool)
        shown[last] = self._crowd.good(rows[last])
        quick = (state == _code(RolloutState.STARTING)) | (state == _code(RolloutState.PROMOTING))
        late = waited >= policy.step_max_s
        held = state == _code(RolloutState.HELD)
        return np.asarray(~held & (quick | late | (ready & shown)), dtype=np.bool_)

    def _pause_and_resume(self, rows: Ints, now_s: float) -> None:
        paused = rows[self._resume_s[rows] <= now_s]
        for row in paused:
            self._resume_s[row] = np.inf
            self._say(int(row), Command.RESUME, now_s)
        chance = self._setting.pauses * self._setting.tick_s / 3600
        drawn = self._rng.random(len(rows)) < chance
        active = self._state[rows] != _code(RolloutState.HELD)
        for row in rows[drawn & active]:
            self._resume_s[row] = now_s + self._setting.pause_s
            self._say(int(row), Command.PAUSE, now_s)

    def _say(self, row: int, what: Command, now_s: float) -> None:
        rollout = self._rollouts[row]
        if what is Command.RESUME and rollout.hold is not Hold.PAUSED:
            return
        now = START + timedelta(seconds=now_s)
        move = command(rollout, self._policy, what, _OPERATOR, "", now, Seen())
        self._take(row, move, now_s)

    def _decide(self, row: int, now_s: float, harmful: bool) -> None:
        """Ask until nothing follows at once."""
        now = START + timedelta(seconds=now_s)
        seen = self._seen(row, harmful)
        while (move := decide(self._rollouts[row], self._policy, seen, now)) is not None:
            self._take(row, move, now_s)

    def _seen(self, row: int, harmful: bool) -> Seen:
        one, last = np.array([row]), self._step[row] == len(self._policy.steps) - 1
        findings = [
            Finding(
                metric,
                # Nothing before the last step asks for it.
                good=bool(last and guard.good(one)[0]),
                units={JudgedArm.CANDIDATE: int(guard.units[row])},
            )
            for metric, guard in self._crowd.guards.items()
        ]
        findings += self._pairs.findings(row)
        signals = Finding(Metric.SIGNALS, good=True)
        worse = [Finding(Metric.ERROR_RATIO, harmful=True)] if harmful else []
        return Seen(
            (*worse, *findings, signals),
            split_suspect=bool(self._suspect[row]),
            candidate_ready=True,
            fresh=True,
            settled=True,
        )

    def _take(self, row: int, move: Move, now_s: float) -> None:
        after = move.rollout
        self._rollouts[row] = after
        self._state[row], self._step[row] = _code(after.state), after.step
        self._since[row] = now_s
        self._split[row] = self._divisions.index(division(after, self._policy))
        ended = _ENDS.get(after.state)
        if after.hold in (Hold.INCONCLUSIVE, Hold.SPLIT):
            ended = End.HELD
        if ended is not None:
            self._end[row], self._after_s[row] = ended, now_s


_STATES = tuple(RolloutState)
_ENDS = {
    RolloutState.ROLLED_BACK: End.ROLLED_BACK,
    RolloutState.COMPLETED: End.PROMOTED,
}


def _code(state: RolloutState) -> int:
    return _STATES.index(state)


def started(number: int) -> Rollout:
    """A simulated rollout that has just begun."""
    at = utc_text(START)
    return Rollout(
        id=f"simulated-{number}",
        model="simulated",
        stable=1,
        candidate=2,
        policy="",
        started_by=_OPERATOR,
        started_at=at,
        number=1,
        state=RolloutState.STARTING,
        step=0,
        entered_at=at,
        by=_OPERATOR,
        at=at,
    )


def _divisions(policy: Policy) -> list[Division]:
    """All that a rollout may come to, each once; the first is that of its start."""
    start = started(0)
    states = (
        RolloutState.STARTING,
        RolloutState.SHADOW,
        RolloutState.BAKING,
        RolloutState.COMPLETED,
    )
    made = [division(replace(start, state=state), policy) for state in states]
    canary = replace(start, state=RolloutState.CANARY)
    made += [division(replace(canary, step=step), policy) for step in range(len(policy.steps))]
    return list(dict.fromkeys(made))
