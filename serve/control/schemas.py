"""What goes in and out of the control API: request bodies, and views of what is recorded.

Shares of traffic are percentages with at most two decimals. Bodies refuse keys that do not exist;
views ignore keys that they do not know, so that a client can be older than its gateway.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from typing import Annotated, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, model_validator

from monitors.signal import Signal, Verdict
from monitors.stats.familiar import Distance
from registry.card import Card
from registry.records import FULL, AuditEntry, Role, Route, Version
from registry.routing import role_of
from registry.signature import Signature
from serve.control.service import ArmBins, ArmSignals, VersionStatus


def _one_line(text: str) -> str:
    if not text.isprintable():
        message = "must be one line without control characters"
        raise ValueError(message)
    return text.strip()


OneLine = Annotated[str, Field(max_length=500), AfterValidator(_one_line)]
VersionNumber = Annotated[int, Field(ge=1)]
Percent = Annotated[float, Field(ge=0.0, le=100.0)]
Digest = Annotated[str, Field(pattern=r"^sha256:[0-9a-f]{64}$", examples=["sha256:" + "0" * 64])]


class Body(BaseModel):
    """What a caller sends: frozen, and strict about unknown keys."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class View(BaseModel):
    """What a caller gets: frozen, and open for keys to come."""

    model_config = ConfigDict(frozen=True, extra="ignore")


class RegisterBody(Body):
    """A new version: digests of files sent before, and the card if there is one."""

    artifact: Digest
    card: Card | None = None
    profile: Digest | None = None


class ShadowShare(Body):
    """The version that sees a share of the traffic, in percent, and answers nobody."""

    version: VersionNumber
    share: Percent


class RouteBody(Body):
    """The whole split: percentages by version number that sum to 100, and the shadow."""

    weights: Mapping[VersionNumber, Percent] = Field(min_length=1, examples=[{"1": 95, "2": 5}])
    shadow: ShadowShare | None = None
    reason: OneLine = ""


class PromoteBody(Body):
    """Which version is to get all of the traffic, and why."""

    version: VersionNumber
    reason: Annotated[OneLine, Field(min_length=1)]


class RollbackBody(Body):
    """Why the traffic returns."""

    reason: OneLine = ""


class LoadBody(Body):
    """Why a model is loaded or unloaded."""

    reason: OneLine = ""


def etag(generation: int) -> str:
    """The `ETag` of a route at a generation, which `If-Match` takes."""
    return f'"{generation}"'


class ReplaceBody(Body):
    """What to replace: all gateway replicas, or those of one version."""

    what: Literal["gateway", "version"]
    model: str = ""
    version: int = 0

    @model_validator(mode="after")
    def _version_is_named(self) -> ReplaceBody:
        if self.what == "version" and not (self.model and self.version):
            message = "replacing a version needs its model and version"
            raise ValueError(message)
        return self


class ErrorView(View):
    """What went wrong, for people and for programs, and the name of the request in the log."""

    error: str
    code: str
    request_id: str = ""


class HealthView(View):
    """Whether the gateway lives (`live`) or is ready (`ready`)."""

    status: str


class ArtifactView(View):
    """The name of a stored file: the digest of its content."""

    digest: str


class VersionView(View):
    """One version, and whether it is hosted: `ready`, `starting`, `failed` or `not hosted`."""

    model: str
    version: int
    digest: str
    profile: str | None
    size_bytes: int
    created_by: str
    created_at: str
    state: str
    state_reason: str
    signature: Signature
    card: Card

    @classmethod
    def of(cls, version: Version, status: VersionStatus | None) -> VersionView:
        """The view of a recorded version; without a status it is not hosted."""
        return cls(
            model=version.model,
            version=version.number,
            digest=version.digest,
            profile=version.profile,
            size_bytes=version.size_bytes,
            created_by=version.created_by,
            created_at=version.created_at,
            state=status.state if status else "not hosted",
            state_reason=status.reason if status else "",
            signature=version.signature,
            card=version.card,
        )


class RegisteredView(View):
    """The new version, and the sentences that say what was inferred about it."""

    version: VersionView
    inferred: tuple[str, ...]


class ArmView(View):
    """A version, the part it plays, and its weight in percent."""

    version: int
    role: Role
    weight: float


class ShadowView(View):
    """The shadow version, and the share of the traffic that it sees, in percent."""

    version: int
    share: float


class JudgedView(View):
    """The rollout that a route belongs to, and its candidate.

    The `baseline` is a part of the traffic, in percent, taken from that of the stable version. An
    answer that takes longer than `objective_s` counts as late.
    """

    rollout: str
    candidate: int
    baseline: float
    objective_s: float | None


class RouteView(View):
    """How a model's traffic is split at one generation, in percent.

    A route that is not `served` says how the model was served before it was unloaded. One that is
    `judged` belongs to a rollout.
    """

    model: str
    generation: int
    stable: int
    previous: int | None
    arms: tuple[ArmView, ...]
    shadow: ShadowView | None
    created_by: str
    created_at: str
    reason: str
    served: bool = True
    judged: JudgedView | None = None

    @classmethod
    def of(cls, route: Route) -> RouteView:
        """The view of a recorded route. The salt stays inside: it decides who meets which arm."""
        shadow, judged = route.shadow, route.judged
        return cls(
            model=route.model,
            generation=route.generation,
            stable=route.stable,
            previous=route.previous,
            arms=tuple(
                ArmView(
                    version=arm.version,
                    role=role_of(route, arm.version),
                    weight=_percent(arm.weight_bp),
                )
                for arm in route.arms
            ),
            shadow=ShadowView(version=shadow.version, share=_percent(shadow.share_bp))
            if shadow
            else None,
            created_by=route.created_by,
            created_at=route.created_at,
            reason=route.reason,
            served=route.served,
            judged=JudgedView(
                rollout=judged.rollout,
                candidate=judged.candidate,
                baseline=_percent(judged.baseline_bp),
                objective_s=judged.objective_s,
            )
            if judged
            else None,
        )


class ModelView(View):
    """A model, its versions (oldest first) and its route, if it has one yet."""

    model: str
    versions: tuple[VersionView, ...]
    route: RouteView | None


class ModelSummaryView(View):
    """A model in a list: how many versions it has, and how its traffic is split."""

    model: str
    versions: int
    route: RouteView | None


class ModelsView(View):
    """All registered models."""

    models: tuple[ModelSummaryView, ...]


class VersionsView(View):
    """All versions of a model, oldest first."""

    versions: tuple[VersionView, ...]


class DistanceView(View):
    """A familiar distance from the reference, for show: nobody is paged on it.

    The bounds enclose what it would be without noise; the value of few rows may lie above them.
    """

    name: str
    value: float
    lower: float
    upper: float
    p_value: float | None

    @classmethod
    def of(cls, distance: Distance) -> DistanceView:
        """The view of a distance."""
        return cls(**{name: getattr(distance, name) for name in cls.model_fields})


class SignalView(View):
    """One statement of one monitor: an effect with its bounds, the evidence, and a verdict."""

    family: str
    name: str
    subject: str
    verdict: Verdict
    rows: int
    value: float | None
    lower: float | None
    upper: float | None
    log10_evidence: float | None
    rows_needed: int | None
    message: str
    distances: tuple[DistanceView, ...]

    @classmethod
    def of(cls, signal: Signal) -> SignalView:
        """The view of a monitor's signal."""
        own = {name: getattr(signal, name) for name in cls.model_fields}
        distances = tuple(DistanceView.of(distance) for distance in signal.distances)
        return cls(**{**own, "distances": distances})


class ArmSignalsView(View):
    """What the monitors say of one version in one role, after so many sampled rows."""

    version: int
    role: str
    rows: int
    signals: tuple[SignalView, ...]

    @classmethod
    def of(cls, arm: ArmSignals) -> ArmSignalsView:
        """The view of one arm's signals."""
        signals = tuple(SignalView.of(signal) for signal in arm.signals)
        return cls(version=arm.version, role=arm.arm, rows=arm.rows, signals=signals)


class SignalsView(View):
    """What the monitors say of every version in every role that has had traffic."""

    model: str
    arms: tuple[ArmSignalsView, ...]


class BinView(View):
    """One bin: its shares of the rows, and what it adds to two distances."""

    label: str
    reference: float
    live: float
    psi: float
    total_variation: float


class ArmBinsView(View):
    """The bins of one version in one role, after so many live rows in them."""

    version: int
    role: str
    rows: int
    bins: tuple[BinView, ...]

    @classmethod
    def of(cls, arm: ArmBins) -> ArmBinsView:
        """The view of one arm's bins."""
        bins = tuple(BinView(**asdict(each)) for each in arm.bins)
        return cls(version=arm.version, role=arm.arm, rows=arm.rows, bins=bins)


class BinsView(View):
    """Where something has moved, in every version in every role that watches it."""

    model: str
    subject: str
    minutes: int | None
    arms: tuple[ArmBinsView, ...]


class ProcessView(View):
    """One process of the gateway; `model` and `version` are set for version hosts only."""

    role: str
    pid: int
    model: str
    version: int


class ProcessesView(View):
    """All processes of the gateway."""

    processes: tuple[ProcessView, ...]


class AuditView(View):
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

    @classmethod
    def of(cls, entry: AuditEntry) -> AuditView:
        """The view of a recorded entry: the same fields, so that a copy can be verified."""
        return cls(**{name: getattr(entry, name) for name in cls.model_fields})


class AuditPageView(View):
    """Audit entries in order."""

    entries: tuple[AuditView, ...]


class AuditCheckView(View):
    """Whether the chain of hashes is whole, else the first entry that breaks it."""

    intact: bool
    first_broken: int | None


def _percent(basis_points: int) -> float:
    return basis_points * 100 / FULL
