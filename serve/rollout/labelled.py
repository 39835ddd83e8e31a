"""What labels say of a rollout's units, as a report beside those of the gateway processes."""

from __future__ import annotations

from collections.abc import Iterable

from configs.policy import Metric
from monitors.labels.assigned import LabelledUnits
from serve.rollout.tallies import JudgedArm, Report, Tally


def labels_report(units: Iterable[LabelledUnits], rollout: str) -> Report | None:
    """Give what has been counted of a rollout so far; None before its first label.

    A unit is counted by its first answer alone, so that wrong ones are trials and events alike.
    """
    stretches: dict[int, dict[JudgedArm, Tally]] = {}
    source = ""
    for each in units:
        if each.assigned.rollout != rollout or not each.labelled:
            continue
        wrong = {Metric.QUALITY_LOSS: each.wrong}
        of = stretches.setdefault(each.assigned.generation, {})
        of[JudgedArm(each.assigned.arm)] = Tally(0, wrong, wrong, labelled=each.labelled)
        source = f"labels-{each.source}"
    return Report(source, rollout, stretches) if stretches else None
