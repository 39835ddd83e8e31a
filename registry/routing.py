"""How a route changes: pure functions from one generation to the next.

In every route the weights sum to 10,000 basis points, each arm has some weight, the stable version
is one of the arms, and neither the shadow version nor `previous` takes part as what it is not: a
shadow is never an arm, and `previous` is never the stable version. Only the changes of a rollout
(`rollout_route.py`) make routes that are judged.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Mapping
from dataclasses import dataclass, replace
from decimal import Decimal

from configs.errors import BadInput, Conflict, VersionNotFound
from registry.records import FULL, Arm, Role, Route, ShadowArm, Version
from registry.signature import TensorSpec

ALIASES = ("stable", "candidate")
"""Names that a caller may use in place of a version's number."""


@dataclass(frozen=True, slots=True)
class Change:
    """Who changes something, when (ISO 8601, UTC) and why."""

    actor: str
    at: str
    reason: str


@dataclass(frozen=True, slots=True)
class Split:
    """A checked division of the traffic: arms in ascending order of version, and the shadow."""

    arms: tuple[Arm, ...]
    shadow: ShadowArm | None = None


def split(
    weights_percent: Mapping[int, float], shadow: tuple[int, float] | None, known: Collection[int]
) -> Split:
    """Check what somebody asks for: percentages by version, and a shadow version with its share.

    A version with weight 0 is left out. Raises `VersionNotFound` for versions that are not
    `known`, and `BadInput` unless the weights sum to exactly 100 with at most two decimals and
    the shadow is a version without weight.
    """
    _refuse_unknown([*weights_percent, *(shadow[:1] if shadow else ())], known)
    weights = {
        version: _basis_points(percent, f"the weight of version {version}")
        for version, percent in sorted(weights_percent.items())
    }
    total = sum(weights.values())
    if total != FULL:
        raise BadInput(f"the weights sum to {total / 100:g} %, and must sum to exactly 100 %")
    arms = tuple(Arm(version, weight) for version, weight in weights.items() if weight)
    return Split(arms, _shadow_arm(shadow, weights) if shadow else None)


def check_same_inputs(wanted: Split, versions: Mapping[int, Version]) -> None:
    """Refuse to divide traffic among versions that do not take the same inputs.

    A caller does not know which version it will meet, and a shadow gets the caller's own tensors.
    """
    numbers = [arm.version for arm in wanted.arms]
    numbers += [wanted.shadow.version] if wanted.shadow else []
    first = versions[numbers[0]]
    for number in numbers[1:]:
        if _takes(versions[number]) != _takes(first):
            raise Conflict(
                f"versions {first.number} and {number} of {first.model!r} take different inputs, "
                "so one caller cannot be sent to either"
            )


def _takes(version: Version) -> tuple[tuple[TensorSpec, ...], frozenset[str]]:
    return version.signature.inputs, frozenset(version.card.extra_inputs)


def first_route(model: str, wanted: Split, change: Change, salt: bytes) -> Route:
    """Generation 1 of a model's route; the arm with the greatest weight is stable."""
    return Route(
        model=model,
        generation=1,
        stable=_heaviest(wanted.arms),
        arms=wanted.arms,
        salt=salt,
        shadow=wanted.shadow,
        created_by=change.actor,
        created_at=change.at,
        reason=change.reason,
    )


def set_weights(route: Route, wanted: Split, change: Change, salt: bytes) -> Route:
    """The route with other weights.

    The stable version stays the same as long as it has weight; else the arm with the greatest
    weight (the oldest of equals) becomes stable and the old one `previous`. The salt is renewed
    when a split begins, and kept while it lasts, so that nobody changes arms without need.
    """
    versions = {arm.version for arm in wanted.arms}
    stable = route.stable if route.stable in versions else _heaviest(wanted.arms)
    begins = len(route.arms) == 1 and len(wanted.arms) > 1
    return replace(
        following(route, change),
        stable=stable,
        arms=wanted.arms,
        salt=salt if begins else route.salt,
        shadow=wanted.shadow,
        previous=route.previous if stable == route.stable else route.stable,
    )


def promote(route: Route, version: int, change: Change, known: Collection[int]) -> Route:
    """All traffic to one version, whose shadow ends; the old stable version is kept warm.

    `Conflict` if the version serves alone already.
    """
    _refuse_unknown([version], known)
    if route.served and route.arms == (Arm(version, FULL),):
        raise Conflict(f"version {version} of {route.model!r} has all of the traffic already")
    previous = route.previous if version == route.stable else route.stable
    return replace(alone(route, version, change), previous=previous)


def rollback(route: Route, change: Change) -> Route:
    """One step back: a split ends at its stable version, else the previous version takes all.

    A judged route ends at its stable version, too, and with it the shadow of the candidate. The
    version that was left is not kept as `previous`, so that a second rollback cannot bring it
    back. `Conflict` if there is nothing to return to, or the model is not served.
    """
    if not route.served:
        raise Conflict(
            f"{route.model!r} is unloaded, so there is nothing to roll back: load it first"
        )
    version = back_to(route)
    if version is None:
        raise Conflict(f"{route.model!r} has no previous version to return to: set a route instead")
    if version == route.stable:
        return alone(route, version, change)
    return replace(alone(route, version, change), previous=None)


def back_to(route: Route) -> int | None:
    """The version that a rollback gives all of the traffic, None if there is none."""
    divided = len(route.arms) > 1 or route.judged is not None
    return route.stable if divided else route.previous


def unload(route: Route, change: Change) -> Route:
    """The same split, no longer served; `Conflict` if it is not served now."""
    if not route.served:
        raise Conflict(f"{route.model!r} is unloaded already")
    return replace(following(route, change), served=False)


def load(route: Route, change: Change) -> Route:
    """The same split, served again; a route that is served stays as it is."""
    return route if route.served else following(route, change)


def alias(route: Route, name: str) -> int:
    """The version that an alias stands for now: one of `ALIASES`, else `VersionNotFound`.

    `stable` is the stable version. `candidate` is the canary (of several the heaviest, the oldest
    of equals), else the shadow version, else nothing.
    """
    if name not in ALIASES:
        raise VersionNotFound(
            f"{route.model!r} has no alias {name[:80]!r}: there are {' and '.join(ALIASES)}"
        )
    if name == "stable":
        return route.stable
    canaries = tuple(arm for arm in route.arms if arm.version != route.stable)
    if canaries:
        return _heaviest(canaries)
    if route.shadow is not None:
        return route.shadow.version
    raise VersionNotFound(
        f"{route.model!r} has no candidate now: no version but {route.stable} takes part"
    )


def role_of(route: Route, version: int) -> Role:
    """The part that a version plays; one that the route gives no traffic can only be pinned."""
    if version == route.stable:
        return Role.STABLE
    if any(arm.version == version for arm in route.arms):
        return Role.CANARY
    if route.shadow is not None and route.shadow.version == version:
        return Role.SHADOW
    return Role.PINNED


def alone(route: Route, version: int, change: Change) -> Route:
    """The route with one version taking everything; neither it nor who was judged is a shadow."""
    shadow = route.shadow
    if shadow is not None and (shadow.version == version or route.judged is not None):
        shadow = None
    arms = (Arm(version, FULL),)
    return replace(following(route, change), stable=version, arms=arms, shadow=shadow)


def following(route: Route, change: Change) -> Route:
    """The next generation, which is served whatever the one before was, and not judged."""
    return replace(
        route,
        generation=route.generation + 1,
        created_by=change.actor,
        created_at=change.at,
        reason=change.reason,
        served=True,
        judged=None,
    )


def _heaviest(arms: tuple[Arm, ...]) -> int:
    """The version with the greatest weight, the oldest of equals."""
    return max(arms, key=lambda arm: (arm.weight_bp, -arm.version)).version


def _shadow_arm(shadow: tuple[int, float], weights: Mapping[int, int]) -> ShadowArm:
    version, percent = shadow
    if weights.get(version):
        raise BadInput(f"version {version} has weight, so it cannot be the shadow as well")
    share = _basis_points(percent, f"the shadow share of version {version}")
    if share == 0:
        raise BadInput(f"the shadow share of version {version} is 0: leave the shadow out")
    return ShadowArm(version, share)


def _basis_points(percent: float, name: str) -> int:
    """A percentage with at most two decimals as basis points."""
    if not math.isfinite(percent) or not 0 <= percent <= 100:
        raise BadInput(f"{name} is {percent} %, and must be from 0 to 100")
    points = Decimal(str(percent)) * 100
    if points != int(points):
        raise BadInput(f"{name} is {percent} %, and may have at most two decimals")
    return int(points)


def _refuse_unknown(versions: Collection[int], known: Collection[int]) -> None:
    unknown = sorted(set(versions) - set(known))
    if unknown:
        numbers = ", ".join(map(str, unknown))
        raise VersionNotFound(f"there is no version {numbers}; there is {_listed(known)}")


def _listed(known: Collection[int]) -> str:
    return ", ".join(map(str, sorted(known))) or "none"
