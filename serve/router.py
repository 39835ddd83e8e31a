"""Which version answers: a pure function of the route and the request's key.

A *unit* is whoever must always meet the same arm: the `Weir-Key` of the request or, without
one, its prediction id. Each arm but the stable one takes its share of the units that no arm
before it took; the stable arm keeps the rest. When an arm's weight grows, units move to it and
nobody moves back to stable.
"""

from __future__ import annotations

from dataclasses import dataclass
from hashlib import blake2b

from configs.errors import VersionNotFound
from registry.records import FULL, Arm, Role, Route

_RANGE = 1 << 32


@dataclass(frozen=True, slots=True)
class Choice:
    """The version that answers, the role in which it does, and the version that shadows it."""

    version: int
    role: Role
    shadow: int | None = None


class _Stake:
    """An arm's claim on the units that reach it: it takes those whose draw is below `limit`."""

    __slots__ = ("_hasher", "_limit", "choice")

    def __init__(self, choice: Choice, limit: int, salt: bytes) -> None:
        self.choice = choice
        self._limit = limit
        person = choice.version.to_bytes(8, "little")
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
        others = sorted(
            (arm for arm in route.arms if arm.version != route.stable and arm.weight_bp > 0),
            key=lambda arm: arm.version,
        )
        self._stable = Choice(route.stable, Role.STABLE)
        self._stakes = _stakes(others, route.salt)
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


def _stakes(arms: list[Arm], salt: bytes) -> tuple[_Stake, ...]:
    """Turn shares of all traffic into shares of what the arms before have left over."""
    left = FULL
    stakes = []
    for arm in arms:
        limit = -(-arm.weight_bp * _RANGE // left)
        stakes.append(_Stake(Choice(arm.version, Role.CANARY), limit, salt))
        left -= arm.weight_bp
    return tuple(stakes)
