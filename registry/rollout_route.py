"""The route that belongs to a rollout: a pure function of the route before and the shares now.

While its candidate sees any traffic the route is judged. The stable version stays the stable arm
until the rollout is completed, so that every step back leads to it.
"""

from __future__ import annotations

from dataclasses import replace

from configs.errors import BadInput
from registry.records import FULL, Arm, Judged, Route, ShadowArm
from registry.rollouts import NOTHING, Rollout, RolloutState, Shares
from registry.routing import Change, alone, following, rollback


def rollout_route(
    route: Route, rollout: Rollout, shares: Shares, change: Change, salt: bytes
) -> Route:
    """The route once a rollout is where it is; the one before where nothing changes for it.

    The salt is renewed when a rollout begins to divide the traffic, and kept while it lasts, so
    that units move to the candidate and nobody moves back. `BadInput` for shares that the state of
    the rollout does not allow.
    """
    _check(rollout, shares)
    if rollout.state is RolloutState.COMPLETED:
        return replace(alone(route, rollout.candidate, change), previous=rollout.stable)
    if shares == NOTHING:
        return _taken_back(route, rollout, change)
    wanted = replace(
        following(route, change),
        arms=_arms(rollout, shares),
        salt=salt if route.judged is None else route.salt,
        shadow=ShadowArm(rollout.candidate, shares.shadow_bp) if shares.shadow_bp else None,
        judged=Judged(rollout.id, rollout.candidate, shares.baseline_bp, rollout.objective_s),
    )
    return route if _divides(route) == _divides(wanted) else wanted


def _check(rollout: Rollout, shares: Shares) -> None:
    """Who is judged leaves the stable version some traffic; who is not has all of it or none."""
    ending = rollout.state.over or rollout.state is RolloutState.ROLLING_BACK
    completed = rollout.state is RolloutState.COMPLETED
    allowed = shares == Shares(FULL if completed else 0) if ending else shares.candidate_bp < FULL
    if not allowed:
        raise BadInput(
            f"a rollout that is {rollout.state.value} cannot divide traffic so: {shares}"
        )


def _taken_back(route: Route, rollout: Rollout, change: Change) -> Route:
    """The stable version alone, if the candidate has got anything from this rollout.

    A route that is not judged is somebody else's, and stays, but for that of a rollout which was
    completed and is taken back.
    """
    if route.judged is not None:
        return alone(route, route.stable, change)
    completed = (route.arms, route.previous) == ((Arm(rollout.candidate, FULL),), rollout.stable)
    back = rollout.state is RolloutState.ROLLING_BACK and completed
    return rollback(route, change) if back else route


def _arms(rollout: Rollout, shares: Shares) -> tuple[Arm, ...]:
    arms = (
        Arm(rollout.stable, FULL - shares.candidate_bp),
        Arm(rollout.candidate, shares.candidate_bp),
    )
    return tuple(sorted((arm for arm in arms if arm.weight_bp), key=lambda arm: arm.version))


def _divides(route: Route) -> tuple[object, ...]:
    """All that decides who is answered by whom, and who is judged."""
    return (route.arms, route.salt, route.shadow, route.judged)
