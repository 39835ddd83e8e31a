"""Who takes part in a route that is about to be made: pure functions of routes."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from registry.records import Arm, Judged, Route, ShadowArm


@dataclass(frozen=True, slots=True)
class Wanted:
    """The versions that must be hosted and reached before the route is made.

    `baseline` is the version that needs the hosts of a baseline too.
    """

    arms: frozenset[int]
    shadow: int | None = None
    baseline: int | None = None
    judged: Judged | None = None

    @classmethod
    def by(cls, route: Route) -> Wanted:
        """Give who takes part in a route that there is."""
        return cls(_numbers(route.arms), _shadow(route.shadow), route.baseline(), route.judged)

    @classmethod
    def by_rollout(
        cls,
        present: Route | None,
        arms: Iterable[Arm],
        shadow: ShadowArm | None,
        judged: Judged | None,
    ) -> Wanted:
        """Give who takes part in a step of a rollout: its baseline is of the stable version."""
        numbers = _numbers(arms)
        compared = present is not None and judged is not None and judged.baseline_bp > 0
        baseline = present.stable if present is not None and compared else None
        return cls(numbers, _shadow(shadow), baseline if baseline in numbers else None, judged)

    def versions(self) -> tuple[int, ...]:
        """Give the numbers of all versions, in ascending order."""
        return tuple(sorted(self.arms if self.shadow is None else self.arms | {self.shadow}))


def goes_back(present: Route | None, arms: Iterable[Arm], wanted: Wanted) -> bool:
    """Whether a route only gives traffic back to versions that were trusted with it before.

    Nobody joins, as an arm, a shadow or a baseline, and only the stable version and the one before
    it get more than they have.
    """
    if present is None or not present.served:
        return False
    before = {arm.version: arm.weight_bp for arm in present.arms}
    more = {arm.version for arm in arms if arm.weight_bp > before.get(arm.version, 0)}
    return (
        more <= {present.stable, present.previous}
        and wanted.shadow in (None, _shadow(present.shadow))
        and wanted.baseline in (None, present.baseline())
    )


def idle(present: Route | None, arms: Iterable[Arm]) -> frozenset[int]:
    """Give the arms of a route to be made that answer nobody yet."""
    return _numbers(arms) - (_numbers(present.arms) if present is not None else frozenset())


def _numbers(arms: Iterable[Arm]) -> frozenset[int]:
    return frozenset(arm.version for arm in arms)


def _shadow(shadow: ShadowArm | None) -> int | None:
    return shadow.version if shadow is not None else None
