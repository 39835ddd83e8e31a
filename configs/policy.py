"""What a rollout must show before a version gets more traffic: steps, guardrails, error rates."""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from enum import StrEnum
from itertools import pairwise
from typing import Annotated, Any, Literal, Self

from pydantic import AfterValidator, Field, model_validator

from configs.section import Section, Share


def _basis_points(percent: float) -> float:
    """Refuse what a route could not express."""
    points = Decimal(str(percent)) * 100
    if points != int(points):
        message = f"{percent} % has more than two decimals"
        raise ValueError(message)
    return percent


Percent = Annotated[float, Field(gt=0.0, lt=100.0), AfterValidator(_basis_points)]
Chance = Annotated[float, Field(gt=0.0, lt=0.5)]
Seconds = Annotated[float, Field(ge=0.0, le=90 * 86400.0)]
Margin = Annotated[float, Field(gt=0.0, le=1.0)]


class Metric(StrEnum):
    """What a guardrail watches, as policies name it.

    The first four are events of single requests, compared between arms. The next three compare the
    shadow's answer with the stable version's to the same request, `shadow_loss` once labels tell
    which of them is wrong. `quality_loss` compares wrong answers of arms, once labels tell.
    `signals` are the alarms of the monitors.
    """

    ERROR_RATIO = "error_ratio"
    TIMEOUT_RATIO = "timeout_ratio"
    INVALID_OUTPUT = "invalid_output"
    LATENCY_OVER_SLO = "latency_over_slo"
    SHADOW_DISAGREEMENT = "shadow_disagreement"
    FAIRNESS_GAP = "fairness_gap"
    SHADOW_LOSS = "shadow_loss"
    QUALITY_LOSS = "quality_loss"
    SIGNALS = "signals"


EVENTS = (
    Metric.ERROR_RATIO,
    Metric.TIMEOUT_RATIO,
    Metric.INVALID_OUTPUT,
    Metric.LATENCY_OVER_SLO,
)
"""What happens to single requests and is counted for every unit."""

BY_LABELS = (Metric.QUALITY_LOSS, Metric.SHADOW_LOSS)
"""Judged by labels, of which cards must say how they tell that an answer is wrong."""

DEPENDS_ON_LOAD = frozenset({Metric.ERROR_RATIO, Metric.TIMEOUT_RATIO, Metric.LATENCY_OVER_SLO})
"""Compared with the baseline arm, which has as many replicas; others with all stable traffic."""


class Guardrail(Section):
    """One thing that a version must not be worse at, and by how much it may seem so.

    `margin_abs` is a difference of shares, `margin_rel` a share of the other arm's rate (1.0: twice
    as many events), `max` a share. `objective_s` is for `latency_over_slo`; without it, the stable
    version's 99th percentile when the rollout begins. One that is `optional` stops no promotion
    while it cannot tell; but the shadow stage waits for `fairness_gap` once it has met two groups
    of an attribute. What befalls one arm within `cluster_s` is one mishap and counts once, as many
    answers are late at once where a host stalls; 0 for events that have nothing to do with one
    another. Without it, a second for latency and 0 for errors and time-outs.
    """

    metric: Metric
    margin_abs: Margin | None = None
    margin_rel: Annotated[float, Field(gt=0.0, le=100.0)] | None = None
    max: Margin | None = None
    objective_s: Annotated[float, Field(gt=0.0, le=3600.0)] | None = None
    cluster_s: Annotated[float, Field(ge=0.0, le=3600.0)] | None = None
    optional: bool = False

    @property
    def block_s(self) -> float:
        """Seconds in which what befalls an arm counts once; 0 where every event counts."""
        if self.cluster_s is not None:
            return self.cluster_s
        return _CLUSTER_S if self.metric in _CLUSTERING else 0.0

    @model_validator(mode="after")
    def _its_own_margin(self) -> Self:
        given = {
            name for name in ("margin_abs", "margin_rel", "max") if getattr(self, name) is not None
        }
        allowed = _MARGINS[self.metric]
        if given and given <= allowed and len(given) == 1:
            pass
        elif given or allowed:
            wanted = " or ".join(sorted(allowed)) or "no margin"
            message = f"guardrail {self.metric.value} takes {wanted}"
            raise ValueError(message)
        if self.objective_s is not None and self.metric is not Metric.LATENCY_OVER_SLO:
            message = f"objective_s is for latency_over_slo, not for {self.metric.value}"
            raise ValueError(message)
        if self.cluster_s is not None and self.metric not in DEPENDS_ON_LOAD:
            allowed_for = ", ".join(sorted(each.value for each in DEPENDS_ON_LOAD))
            message = f"cluster_s is for {allowed_for}, not for {self.metric.value}"
            raise ValueError(message)
        return self


_CLUSTERING = frozenset({Metric.LATENCY_OVER_SLO})
_CLUSTER_S = 1.0
_OF_EVENTS = frozenset({"margin_abs", "margin_rel"})
_MARGINS = {
    **dict.fromkeys(EVENTS, _OF_EVENTS),
    Metric.QUALITY_LOSS: _OF_EVENTS,
    Metric.SHADOW_LOSS: _OF_EVENTS,
    Metric.SHADOW_DISAGREEMENT: frozenset({"max"}),
    Metric.FAIRNESS_GAP: frozenset({"margin_abs"}),
    Metric.SIGNALS: frozenset[str](),
}


class ShadowStage(Section):
    """How a version is tried before anybody gets its answers.

    `fraction` of the requests are copied to it, 0 for no shadow at all; `shadow_disagreement` rests
    on `min_pairs` compared answers at least.
    """

    fraction: Share = 1.0
    min_pairs: Annotated[int, Field(ge=0, le=10**9)] = 500


class Alpha(Section):
    """The chances of being wrong that are accepted, each over a whole rollout.

    `rollback`: of rolling a harmless version back. `promote`: of promoting one that is worse by a
    guardrail's margin. `split`: of stopping because traffic seems not to be split as it should.
    """

    rollback: Chance = 0.01
    promote: Chance = 0.05
    split: Chance = 0.001


class HardLimit(Section):
    """A share of events beyond which nothing is compared any more, while the other arm is below."""

    metric: Literal[Metric.ERROR_RATIO, Metric.TIMEOUT_RATIO, Metric.INVALID_OUTPUT]
    share: Annotated[float, Field(gt=0.0, lt=1.0)] = 0.5


class Approvals(Section):
    """At which points somebody has to agree, and whether it must be another than who started."""

    before: tuple[Literal["canary", "promotion"], ...] = ()
    by_another: bool = True


class Policy(Section):
    """How a rollout goes and what it must show; times in seconds, shares of traffic in percent.

    A version gets no more traffic before it has answered `min_units` units. `dwell_s` is the least
    time at each step, `step_max_s` the longest: then it is held, or rolled back where
    `on_inconclusive` says so; nothing is ever promoted because time went by. While it bakes, the
    version before keeps `holdback` percent, so that the comparison goes on, but for latency and
    time-outs. The baseline gets as much as the candidate, `baseline_max` percent at most; beyond
    that, nothing that depends on load is judged.
    """

    steps: Annotated[tuple[Percent, ...], Field(min_length=1, max_length=20)] = (1, 5, 25, 50)
    dwell_s: Seconds = 300.0
    step_max_s: Annotated[float, Field(gt=0.0, le=90 * 86400.0)] = 86400.0
    min_units: Annotated[int, Field(ge=1, le=10**9)] = 50
    bake_s: Seconds = 1800.0
    holdback: Percent = 5
    baseline_max: Percent = 50
    shadow: ShadowStage = ShadowStage()
    alpha: Alpha = Alpha()
    guardrails: Annotated[tuple[Guardrail, ...], Field(min_length=1)] = (
        Guardrail(metric=Metric.ERROR_RATIO, margin_abs=0.005),
        Guardrail(metric=Metric.TIMEOUT_RATIO, margin_abs=0.005),
        Guardrail(metric=Metric.INVALID_OUTPUT, margin_abs=0.001),
        Guardrail(metric=Metric.LATENCY_OVER_SLO, margin_rel=1.0, cluster_s=1.0),
        Guardrail(metric=Metric.SHADOW_DISAGREEMENT, max=0.02),
        Guardrail(metric=Metric.FAIRNESS_GAP, margin_abs=0.02, optional=True),
        Guardrail(metric=Metric.SIGNALS, optional=True),
    )
    on_inconclusive: Literal["hold", "rollback"] = "hold"
    hard_limits: tuple[HardLimit, ...] = (HardLimit(metric=Metric.ERROR_RATIO),)
    approvals: Approvals = Approvals()

    @model_validator(mode="after")
    def _upwards(self) -> Self:
        if any(one >= other for one, other in pairwise(self.steps)):
            message = f"steps {', '.join(f'{step:g}' for step in self.steps)} must rise"
            raise ValueError(message)
        return self

    @model_validator(mode="after")
    def _each_once(self) -> Self:
        metrics = [guardrail.metric for guardrail in self.guardrails]
        twice = next((each for each in metrics if metrics.count(each) > 1), None)
        if twice is not None:
            message = f"guardrail {twice.value} is there twice"
            raise ValueError(message)
        return self

    @model_validator(mode="after")
    def _shadows_to_lose(self) -> Self:
        loss = self.guardrail(Metric.SHADOW_LOSS)
        if loss is not None and not loss.optional and not self.shadow.fraction:
            message = "guardrail shadow_loss needs a shadow stage: shadow.fraction is 0"
            raise ValueError(message)
        return self

    @model_validator(mode="after")
    def _time_to_dwell(self) -> Self:
        if self.step_max_s <= self.dwell_s:
            message = f"step_max_s {self.step_max_s:g} must be more than dwell_s {self.dwell_s:g}"
            raise ValueError(message)
        return self

    @property
    def by_labels(self) -> bool:
        """Whether some guardrail is judged by labels."""
        return any(each.metric in BY_LABELS for each in self.guardrails)

    def guardrail(self, metric: Metric) -> Guardrail | None:
        """The guardrail of a metric, if there is one."""
        return next((each for each in self.guardrails if each.metric is metric), None)


def over(base: Mapping[str, Any], own: Mapping[str, Any]) -> dict[str, Any]:
    """The keys of a policy over those of another: of sections key by key, of all else whole."""
    both = {
        name: over(base[name], value)
        for name, value in own.items()
        if isinstance(value, Mapping) and isinstance(base.get(name), Mapping)
    }
    return {**base, **own, **both}
