"""Which version answers: a pure function of the route and the request's key.

A *unit* is whoever must always meet the same arm: the `Weir-Key` of the request or, without
one, its prediction id. Each arm but the stable one takes its share of the units that no arm
before it took; the stable arm keeps the rest. When an arm's weight grows, units move to it and
nobody moves back to stable.

The baseline of a route that is judged draws last, from what would be stable: a candidate that grows
takes units from both, and as many as the baseline lacks then come to it from stable.
"""

from __future__ import annotations

from dataclasses import dataclass
from hashlib import blake2b

from configs.errors import VersionNotFound
from registry.records import FULL, Role, Route

_RANGE = 1 << 32
_BASELINE = b"baseline arm"
"""Longer than the person of any version, so that it is nobody else's."""


@dataclass(frozen=True, slots=True)
class Choice:
    """The version that answers, the role in which it does, and the version that shadows it."""

    version: int
    role: Role
    shadow: int | None = None


class _Stake:
    """An arm's claim on the units that reach it: it takes those whose draw is below `limit`."""

    __slots__ = ("_hasher", "_limit", "choice")

    def __init__(self, choice: Choice, share_bp: int, left_bp: int, salt: bytes) -> None:
        """Claim a share of all traffic of the units that arms before have left over."""
        self.choice = choice
        self._limit = -(-share_bp * _RANGE // left_bp)
        baseline = choice.role is Role.BASELINE
        person = _BASELINE if baseline else choice.version.to_bytes(8, "little")
        self._hasher = blake2b(digest_size=4, key=salt, person=person)

    def takes(self, unit: bytes) -> bool:
        hasher = self._hasher.copy()
        hasher.update(unit)
        return int.from_bytes(hasher.digest(), "little") < self._limit


class Router:
    """One model's route, prepared for fast choices.

    A draw is the 32-bit BLAKE2b digest of the unit, keyed by the split's salt and personal to the
    arm, so that arms draw independently and keep their draws when others come and go. Shadow is
    drawn from the prediction id, which is random itself, so that sampled and shadowed rows nest.
    """

    def __init__(self, route: Route) -> None:
        self._stable = Choice(route.stable, Role.STABLE)
        self._stakes = _stakes(route)
        self._shadow = route.shadow.version if route.shadow is not None else None
        self._shadow_limit = (
            route.shadow.share_bp * _RANGE // FULL if route.shadow is not None else 0
        )
        self._shadowed: dict[Choice, Choice] = {}

    def choose(self, unit: bytes, prediction: int) -> Choice:
        """The choice for a unit, and whether prediction (its last 32 bits, uniform) is shadowed."""
        choice = self._arm(unit)
        if prediction < self._shadow_limit and choice.version != self._shadow:
            return self._with_shadow(choice)
        return choice

    def _arm(self, unit: bytes) -> Choice:
        for stake in self._stakes:
            if stake.takes(unit):
                return stake.choice
        return self._stable

    def _with_shadow(self, choice: Choice) -> Choice:
        shadowed = self._shadowed.get(choice)
        if shadowed is None:
            shadowed = Choice(choice.version, choice.role, self._shadow)
            self._shadowed[choice] = shadowed
        return shadowed


def pinned(model: str, live: tuple[int, ...], version: int) -> Choice:
    """The choice for a request that names its version; `VersionNotFound` if it is not served."""
    if version not in live:
        served = ", ".join(map(str, live)) or "none"
        raise VersionNotFound(f"version {version} of {model} is not served (served: {served})")
    return Choice(version, Role.PINNED)


def _stakes(route: Route) -> tuple[_Stake, ...]:
    """Turn shares of all traffic into shares of what the arms before have left over."""
    others = sorted(
        (arm for arm in route.arms if arm.version != route.stable and arm.weight_bp > 0),
        key=lambda arm: arm.version,
    )
    shares = [(Choice(arm.version, Role.CANARY), arm.weight_bp) for arm in others]
    if route.judged is not None and route.judged.baseline_bp > 0:
        shares.append((Choice(route.stable, Role.BASELINE), route.judged.baseline_bp))
    left = FULL
    stakes = []
    for choice, share_bp in shares:
        if left > 0:
            stakes.append(_Stake(choice, share_bp, left, route.salt))
        left -= share_bp
    return tuple(stakes)
