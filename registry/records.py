"""What the registry keeps: versions, routes and audit entries, and the table that replicas get."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from registry.card import Card
from registry.keys import ApiKey
from registry.signature import Signature

FULL = 10_000
"""All of the traffic, in basis points (hundredths of a percent)."""


class Role(StrEnum):
    """The part that a version plays in a route, as the `Weir-Arm` header and signals name it.

    The baseline is the stable version in hosts of its own, with which a canary is compared.
    """

    STABLE = "stable"
    BASELINE = "baseline"
    CANARY = "canary"
    SHADOW = "shadow"
    PINNED = "pinned"


@dataclass(frozen=True, slots=True)
class Version:
    """One immutable version of a model.

    `digest` names the ONNX file and `profile` the reference profile, both by `sha256:<hex>`.
    """

    model: str
    number: int
    digest: str
    signature: Signature
    card: Card
    profile: str | None
    size_bytes: int
    created_by: str
    created_at: str


@dataclass(frozen=True, slots=True)
class Arm:
    """A version and its share of the traffic in basis points."""

    version: int
    weight_bp: int


@dataclass(frozen=True, slots=True)
class ShadowArm:
    """A version that sees a share of the traffic, in basis points, and answers nobody."""

    version: int
    share_bp: int


@dataclass(frozen=True, slots=True)
class Judged:
    """That a route belongs to a rollout: its `candidate` is compared with what else answers.

    `baseline_bp` is the baseline's part of the traffic, in basis points, taken from that of the
    stable version; 0 for none. An answer that takes longer than `objective_s` counts as late.
    """

    rollout: str
    candidate: int
    baseline_bp: int = 0
    objective_s: float | None = None


@dataclass(frozen=True, slots=True)
class Route:
    """How a model's traffic is split at one generation.

    The weights of `arms` sum to 10,000. `stable` names the arm that takes what no other arm
    claims. `previous` is the version that a rollback returns to; it stays warm.
    `salt` decides which units meet which arm, and is kept as long as a split lasts. A route that is
    not `served` says how the model was served before it was unloaded.
    """

    model: str
    generation: int
    stable: int
    arms: tuple[Arm, ...]
    salt: bytes
    shadow: ShadowArm | None = None
    previous: int | None = None
    created_by: str = ""
    created_at: str = ""
    reason: str = ""
    served: bool = True
    judged: Judged | None = None

    def live_versions(self) -> tuple[int, ...]:
        """The versions that must be ready to answer, in ascending order."""
        numbers = {arm.version for arm in self.arms} | {self.stable}
        if self.shadow is not None:
            numbers.add(self.shadow.version)
        if self.previous is not None:
            numbers.add(self.previous)
        return tuple(sorted(numbers))

    def baseline(self) -> int | None:
        """The version that needs hosts for a baseline arm beside its own, if one does."""
        judged = self.judged
        return self.stable if judged is not None and judged.baseline_bp > 0 else None


@dataclass(frozen=True, slots=True)
class AuditEntry:
    """One change, who made it, and its place in the chain of hashes."""

    sequence: int
    at: str
    actor: str
    action: str
    resource: str
    before: str
    after: str
    reason: str
    previous_hash: str
    hash: str


@dataclass(frozen=True, slots=True)
class RoutedModel:
    """A model's route with the versions that it names, and all that are proven (`proven.py`).

    `baseline` is the version of which gateway replicas keep links to the hosts of its baseline,
    whether the route sends anybody there already or not.
    """

    route: Route
    versions: Mapping[int, Version]
    proven: frozenset[int] = frozenset()
    baseline: int | None = None


@dataclass(frozen=True, slots=True)
class RouteTable:
    """Everything that a gateway replica needs to route; `generation` grows with every change.

    `models` are those that are served, `registered` the numbers of all versions by model, and
    `keys` the API keys that are not revoked (some may have expired).
    """

    generation: int
    models: Mapping[str, RoutedModel] = field(default_factory=dict)
    registered: Mapping[str, tuple[int, ...]] = field(default_factory=dict)
    keys: tuple[ApiKey, ...] = ()
