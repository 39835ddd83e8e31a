"""Views of a model's labels: how many have come, how late, and of which predictions."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Self

from monitors.labels.coverage import Covered
from monitors.labels.delays import Delays
from monitors.labels.told import ArmLabels, LabelsTold
from registry.card import Card
from registry.records import Version
from serve.control.schemas import View

_SHARES = (0.5, 0.9, 0.99)


class CoverageView(View):
    """How many predictions there are, how many of them have their label, and the share of these."""

    predictions: int
    labelled: int
    share: float | None

    @classmethod
    def of(cls, covered: Covered, **more: object) -> Self:
        """The view of counts, with what else it says."""
        figures = {
            "predictions": covered.predictions,
            "labelled": covered.labelled,
            "share": covered.share,
        }
        return cls.model_validate({**figures, **more})


class AgeView(CoverageView):
    """Of the predictions that are so old at least: those that had their label by that age."""

    age_s: int


class DecisionView(CoverageView):
    """Of the mature predictions with one decision."""

    decision: str


class DelayView(View):
    """By which age so great a share of the labels had come; None for later than can be said."""

    share: float
    within_s: float | None


class LateView(View):
    """How many labels came within an age and not within the one before; None for all later ones."""

    within_s: int | None
    labels: int


class ArmLabelsView(View):
    """The labels of one version in one role; `mature` are predictions of the expected age."""

    version: int
    role: str
    expected_delay_s: float
    predictions: int
    labelled: int
    mature: CoverageView
    by_age: tuple[AgeView, ...]
    by_decision: tuple[DecisionView, ...]
    delays: tuple[DelayView, ...]
    histogram: tuple[LateView, ...]

    @classmethod
    def of(cls, arm: ArmLabels, ages_s: Sequence[int], card: Card | None) -> ArmLabelsView:
        """The view of an arm, with the names of the classes that its card has."""
        return cls(
            version=arm.version,
            role=arm.role,
            expected_delay_s=arm.expected_delay_s,
            predictions=arm.all.predictions,
            labelled=arm.all.labelled,
            mature=CoverageView.of(arm.mature),
            by_age=tuple(
                AgeView.of(each, age_s=age) for age, each in zip(ages_s, arm.by_age, strict=True)
            ),
            by_decision=tuple(
                DecisionView.of(each, decision=_decision(number, card))
                for number, each in arm.by_decision.items()
            ),
            delays=tuple(
                DelayView(share=share, within_s=arm.delays.within_s(share)) for share in _SHARES
            ),
            histogram=_histogram(arm.delays, ages_s),
        )


class LabelsView(View):
    """The labels of a model: what has happened since its first prediction, and what waits now.

    `pending` predictions have no label, `waiting` labels no prediction.
    """

    model: str
    counts: Mapping[str, int]
    pending: int
    waiting: int
    arms: tuple[ArmLabelsView, ...]

    @classmethod
    def of(cls, told: LabelsTold, versions: Sequence[Version]) -> LabelsView:
        """The view of what the monitors tell."""
        cards = {version.number: version.card for version in versions}
        return cls(
            model=told.model,
            counts=told.counts,
            pending=told.pending,
            waiting=told.waiting,
            arms=tuple(
                ArmLabelsView.of(arm, told.ages_s, cards.get(arm.version)) for arm in told.arms
            ),
        )


def _decision(number: int, card: Card | None) -> str:
    """What a decision is called: the class that it stands for, or its number."""
    if number < 0:
        return "other"
    classes = card.label.classes if card is not None and card.label is not None else ()
    return classes[number] if number < len(classes) else str(number)


def _histogram(delays: Delays, ages_s: Sequence[int]) -> tuple[LateView, ...]:
    return tuple(
        LateView(within_s=age, labels=count)
        for age, count in zip((*ages_s, None), delays.counts, strict=True)
    )
