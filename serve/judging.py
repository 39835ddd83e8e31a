"""How requests of a judged route are counted, and who answers when an arm on trial fails."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from registry.records import FULL, Arm, Judged, Role, Route
from serve.rollout.counting import ArmCount, RolloutCount
from serve.rollout.pairing import Comparison
from serve.rollout.tallies import JudgedArm
from serve.served import ServedVersion


class Judging:
    """One generation of a judged route, as one gateway replica serves it.

    `stable` is the version that the candidate is compared with: it answers what the candidate or
    the baseline cannot. `late_s` is the longest that an answer may take, if that is judged.
    """

    def __init__(
        self,
        judged: Judged,
        route: Route,
        versions: Mapping[int, ServedVersion],
        baseline: ServedVersion | None,
        of: RolloutCount,
    ) -> None:
        stretch = of.stretch(route.generation, keyed=candidate_bp(route) > 0)
        self.count = of
        self.late_s = judged.objective_s
        self.stable = versions[incumbent(route)]
        self._candidate = judged.candidate
        self._candidates = stretch[JudgedArm.CANDIDATE]
        self._baselines = stretch[JudgedArm.BASELINE]
        self._others = stretch[JudgedArm.STABLE]
        candidate = versions.get(judged.candidate)  # It has none of the traffic yet, or no more.
        self.comparison = (
            Comparison(self.stable.version, candidate.version) if candidate is not None else None
        )
        self._on_trial = [
            version.links
            for version, share_bp in (
                (candidate, candidate_bp(route)),
                (baseline, judged.baseline_bp),
            )
            if version is not None and share_bp > 0
        ]

    @property
    def comparable(self) -> bool:
        """Whether units of the candidate and of the baseline meet them, where these have a share.

        Else the stable arm has more than its own. Which of the two is away makes no difference: a
        candidate must not pay for what a baseline is forgiven.
        """
        return all(links.connected for links in self._on_trial)

    def on_trial(self, version: ServedVersion, role: Role) -> bool:
        """Whether a version may fail in a role, since the stable one answers in its place."""
        return version.version.number == self._candidate or role is Role.BASELINE

    def arm(self, version: ServedVersion, role: Role) -> ArmCount:
        """Give where what a version does in a role is counted."""
        if version.version.number == self._candidate:
            return self._candidates
        return self._baselines if role is Role.BASELINE else self._others


def candidate_bp(route: Route) -> int:
    """The share of the traffic that a route's candidate has, in basis points."""
    judged = route.judged
    if judged is None:
        return 0
    return sum(arm.weight_bp for arm in route.arms if arm.version == judged.candidate)


def incumbent(route: Route) -> int:
    """The version that a route's candidate is compared with: the stable one.

    While the candidate bakes it may be the stable one itself: then the one with most of the rest.
    """
    candidate = route.judged.candidate if route.judged is not None else None
    if route.stable != candidate:
        return route.stable
    others = [arm for arm in route.arms if arm.version != candidate]
    if others:
        return max(others, key=lambda arm: arm.weight_bp).version
    return route.previous or route.stable


def without_candidate(route: Route) -> Route:
    """The route by which a replica goes on that does not know whether anybody judges."""
    alone = incumbent(route)
    return replace(route, stable=alone, arms=(Arm(alone, FULL),), shadow=None, judged=None)
