"""What labels say of a rollout's units, as a report beside those of the gateway processes."""

from __future__ import annotations

from collections.abc import Iterable

from configs.policy import Metric
from monitors.labels.assigned import SHADOW, LabelledUnits
from monitors.stats.paired_losses import NO_LOSSES, Losses
from serve.rollout.tallies import JudgedArm, Pairs, Report, Tally


def labels_report(units: Iterable[LabelledUnits], rollout: str) -> Report | None:
    """Give what has been counted of a rollout so far; None before its first label.

    A unit is counted by its first answer alone, so that wrong ones are trials and events alike.
    """
    stretches: dict[int, dict[JudgedArm, Tally]] = {}
    losses = NO_LOSSES
    source = ""
    for each in units:
        if each.assigned.rollout != rollout or not each.labelled:
            continue
        source = f"labels-{each.source}"
        if each.assigned.arm == SHADOW:
            losses = losses.plus(_losses(each))
            continue
        wrong = {Metric.QUALITY_LOSS: each.wrong}
        of = stretches.setdefault(each.assigned.generation, {})
        of[JudgedArm(each.assigned.arm)] = Tally(0, wrong, wrong, labelled=each.labelled)
    return Report(source, rollout, stretches, Pairs(losses=losses)) if source else None


def _losses(shadow: LabelledUnits) -> Losses:
    both = shadow.both_wrong
    return Losses(shadow.labelled, both, shadow.wrong - both, shadow.rival_wrong - both)
