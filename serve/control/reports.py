"""What the gateway replicas have counted for rollouts: their last words, and what is new."""

from __future__ import annotations

import json
from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import astuple, dataclass, field, replace
from typing import Any

from configs.policy import Metric
from monitors.stats.paired_losses import Losses
from serve.rollout.tallies import GroupPairs, JudgedArm, Pairs, Report, Tally, Times

Stretches = Mapping[int, Mapping[JudgedArm, Tally]]
_NO_PAIRS = Pairs()
BySource = Mapping[str, Report]
"""The last report of each gateway process, by its source."""


@dataclass(frozen=True, slots=True)
class Increment:
    """What was counted since counts were folded last, over all gateway processes.

    `stretches` only has the generations in which something was, and `latency` the arms.
    """

    stretches: Stretches = field(default_factory=dict)
    pairs: Pairs = _NO_PAIRS
    latency: Mapping[JudgedArm, Times] = field(default_factory=dict)


class Reports:
    """Keeps the last report of every gateway process for every rollout, and when one came.

    Counts only grow, so that a report that is lost is made up for by the next. Processes that ended
    stay until the rollout is forgotten: what they counted counts.
    """

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._last: dict[str, dict[str, Report]] = {}
        self._at: dict[str, dict[str, float]] = {}

    def take(self, reports: Iterable[Report]) -> None:
        """Take in what one gateway process has counted so far."""
        for report in reports:
            self._last.setdefault(report.rollout, {})[report.source] = report
            self._at.setdefault(report.rollout, {})[report.process] = self._clock()

    def take_labels(self, report: Report) -> None:
        """Take in what labels say of units so far; that is no word of a gateway process."""
        self._last.setdefault(report.rollout, {})[report.source] = report

    def of(self, rollout: str) -> BySource:
        """Give the last reports for a rollout."""
        return dict(self._last.get(rollout, {}))

    def heard(self, rollout: str, within_s: float) -> int:
        """Give how many gateway processes have reported for a rollout in the last seconds."""
        earliest = self._clock() - within_s
        return sum(at >= earliest for at in self._at.get(rollout, {}).values())

    def gone(self, process: str) -> None:
        """Expect no more of a gateway process that has said goodbye; what it counted counts."""
        for at in self._at.values():
            at.pop(process, None)

    def keep_only(self, rollouts: Collection[str]) -> None:
        """Drop what was reported for any other rollout: those are over.

        A report may come after that. One that is dropped too early is made up for by the next.
        """
        for rollout in self._last.keys() - set(rollouts):
            del self._last[rollout]
            self._at.pop(rollout, None)


def since(last: BySource, folded: BySource) -> Increment:
    """What the last reports hold beyond those that were folded."""
    stretches: dict[int, dict[JudgedArm, Tally]] = {}
    pairs = Pairs()
    latency: dict[JudgedArm, Times] = {}
    for source, report in last.items():
        before = folded.get(source, Report(source, report.rollout))
        for generation, arms in report.stretches.items():
            old = before.stretches.get(generation, {})
            for arm, tally in arms.items():
                more = tally - old.get(arm, Tally())
                if more.units or more.waiting or more.labelled or any(more.events.values()):
                    of = stretches.setdefault(generation, {})
                    of[arm] = of.get(arm, Tally()) + more
        pairs += report.pairs - before.pairs
        for arm, times in report.latency.items():
            took = times - before.latency.get(arm, Times())
            if took.total:
                latency[arm] = latency.get(arm, Times()) + took
    return Increment(
        dict(sorted(stretches.items())),
        pairs,
        latency,
    )


def whole(last: BySource) -> Increment:
    """All that was counted."""
    return since(last, {})


def to_json(reports: BySource) -> str:
    """Give reports as JSON, to be kept beside the evidence that they were folded into."""
    return json.dumps([_words(report) for report in reports.values()])


def from_json(text: str) -> BySource:
    """Give the reports that `to_json` wrote."""
    reports = [_report(words) for words in json.loads(text)]
    return {report.source: report for report in reports}


def _words(report: Report) -> dict[str, Any]:
    pairs = report.pairs
    return {
        "source": report.source,
        "rollout": report.rollout,
        "stretches": [
            [generation, arm.value, *_counts(tally)]
            for generation, arms in report.stretches.items()
            for arm, tally in arms.items()
        ],
        "pairs": [pairs.rows, pairs.disagreements, pairs.score_change, pairs.score_change_squared],
        "groups": [[*key, *astuple(group)] for key, group in pairs.groups.items()],
        "scores": [pairs.scored, pairs.beyond],
        "losses": list(pairs.losses),
        "latency": [[arm, times.answers, times.none] for arm, times in report.latency.items()],
        "leaves_out": report.leaves_out,
    }


def _counts(tally: Tally) -> list[Any]:
    return [tally.units, tally.trials, tally.events, tally.waiting, tally.labelled]


def _report(words: Mapping[str, Any]) -> Report:
    stretches: dict[int, dict[JudgedArm, Tally]] = {}
    for generation, arm, units, trials, events, waiting, labelled in words["stretches"]:
        stretches.setdefault(generation, {})[JudgedArm(arm)] = Tally(
            units, _metrics(trials), _metrics(events), labelled=labelled, waiting=waiting
        )
    groups = {
        (attribute, value): GroupPairs(*counts) for attribute, value, *counts in words["groups"]
    }
    scored, beyond = words["scores"]
    pairs = replace(
        Pairs(*words["pairs"]),
        groups=groups,
        scored=scored,
        beyond=beyond,
        losses=Losses(*words["losses"]),
    )
    latency = {
        JudgedArm(arm): Times(tuple(answers), none) for arm, answers, none in words["latency"]
    }
    return Report(
        words["source"],
        words["rollout"],
        stretches,
        pairs,
        latency,
        words["leaves_out"],
    )


def _metrics(counts: Mapping[str, int]) -> dict[Metric, int]:
    return {Metric(name): count for name, count in counts.items()}
