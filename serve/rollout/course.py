"""What is remembered of a rollout between two looks at it, and what outlives a restart of it."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import replace
from datetime import datetime
from typing import Any

from configs.policy import Policy
from registry.records import FULL, Route
from registry.rollouts import Rollout
from serve.control.reports import BySource, Increment, from_json, since, to_json, whole
from serve.rollout.account import policy_of
from serve.rollout.evidence import Evidence, fold, fold_pairs
from serve.rollout.finding import Finding, bounded
from serve.rollout.pace import Pace
from serve.rollout.tallies import JudgedArm, Tally, Times

Routed = Mapping[int, Route | None]
"""Routes of a model by their generations."""


class Course:
    """The evidence of one rollout, with the reports that were folded into it.

    Both are kept together, so that a restart neither loses a count nor counts one twice. If they
    cannot be read again, `broken` says so, and nothing can be concluded any more.
    """

    def __init__(self, rollout: Rollout, kept: str | None) -> None:
        self.policy: Policy = policy_of(rollout)
        self.pace = Pace()
        self.evidence = Evidence.begin(self.policy)
        self._began = datetime.fromisoformat(rollout.started_at)
        self._rollout = rollout.id
        self._folded: BySource = {}
        self._step = 0
        self.broken: str | None = None
        if kept is not None:
            self._restore(kept)

    @property
    def latency(self) -> Mapping[JudgedArm, Times]:
        """How long answers took, by arm, so far."""
        return whole(self._folded).latency

    @property
    def leaves_out(self) -> bool:
        """Whether some gateway process has left units with a key out, which are not counted."""
        return any(report.leaves_out for report in self._folded.values())

    def due(self, last: BySource) -> Increment | None:
        """What the last reports have that is not folded yet, if anything."""
        increment = since(last, self._folded)
        anything = increment.stretches or increment.pairs or increment.latency
        return increment if anything else None

    def fold(self, last: BySource, increment: Increment, routed: Routed, now: datetime) -> None:
        """Take in what is due, at a moment; `routed` has every generation that it speaks of."""
        at_s = max((now - self._began).total_seconds(), 0.0)
        evidence = self.evidence
        for generation, tallies in sorted(increment.stretches.items()):
            shares = shares_of(routed[generation], self._rollout)
            if not shares[JudgedArm.CANDIDATE]:
                continue  # Nobody gets the candidate's answers yet, so there is nothing to compare.
            # A late report must not look like a new step.
            self._step = max(self._step, shares[JudgedArm.CANDIDATE])
            told = timed(tallies, routed[generation])
            evidence = fold(evidence, shares, told, self._step, at_s)
        if increment.pairs:
            evidence = fold_pairs(evidence, increment.pairs)
        self.evidence = evidence
        # A process that has ended reports no more, and what it counted stays folded.
        self._folded = {**self._folded, **last}

    def note_pace(self, seconds: float) -> None:
        """Note how much there is at a moment, by a clock that never goes back."""
        arms = self.evidence.seen.values()
        candidates = [tallies.get(JudgedArm.CANDIDATE, Tally()) for tallies in arms]
        units = sum(each.units for each in candidates)
        labelled = sum(each.labelled for each in candidates)
        pairs = self.evidence.pairs
        self.pace.note(seconds, units, pairs.rows, labelled, int(pairs.losses.pairs))

    def snapshot(self) -> str:
        """All of it as JSON."""
        state = {"step": self._step, "folded": to_json(self._folded)}
        return json.dumps({**state, "evidence": self.evidence.to_json()})

    def _restore(self, kept: str) -> None:
        try:
            state = json.loads(kept)
            self.evidence = Evidence.from_json(state["evidence"], self.policy)
            self._folded = from_json(state["folded"])
            self._step = int(state["step"])
        except (ValueError, KeyError, TypeError) as broken:
            self.broken = f"what was kept of its evidence cannot be read ({broken})"


def shares_of(route: Route | None, rollout: str) -> dict[JudgedArm, int]:
    """The shares of the arms in a generation of a route, in basis points.

    One that this rollout does not judge has no candidate.
    """
    judged = route.judged if route is not None else None
    if route is None or judged is None or judged.rollout != rollout:
        return {JudgedArm.CANDIDATE: 0, JudgedArm.BASELINE: 0, JudgedArm.STABLE: FULL}
    candidate = sum(arm.weight_bp for arm in route.arms if arm.version == judged.candidate)
    return {
        JudgedArm.CANDIDATE: candidate,
        JudgedArm.BASELINE: judged.baseline_bp,
        JudgedArm.STABLE: FULL - candidate - judged.baseline_bp,
    }


def timed(tallies: Mapping[JudgedArm, Tally], route: Route | None) -> Mapping[JudgedArm, Tally]:
    """What was counted in a generation of a route, without an objective as units that are untimed.

    No answer is late there, however long it takes, which must not look like one that is fast.
    """
    if route is not None and route.judged is not None and route.judged.objective_s is not None:
        return tallies
    return {arm: replace(tally, untimed=tally.units) for arm, tally in tallies.items()}


def grounds(findings: Iterable[Finding], course: Course) -> str:
    """What a change rests on, as JSON: every finding, and the counts by shares and arm."""
    told: list[dict[str, Any]] = [
        {
            "metric": found.metric.value,
            "harmful": found.harmful,
            "good": found.good,
            "optional": found.optional,
            "compared_with": found.compared_with and found.compared_with.value,
            "harm_log10": found.harm_log10,
            "harm_at": found.harm_at,
            "good_log10": found.good_log10,
            "good_at": found.good_at,
            "events": {arm.value: count for arm, count in found.events.items()},
            "units": {arm.value: count for arm, count in found.units.items()},
            "measure": found.measure,
            "estimate": found.estimate,
            "lower": found.lower,
            "upper": found.upper,
            "message": found.message,
        }
        for found in map(bounded, findings)
    ]
    evidence = json.loads(course.evidence.to_json())
    return json.dumps({"findings": told, "evidence": evidence}, allow_nan=False)
