"""What has been seen in a rollout, as far as its decisions rest on it: counts, and bets on them.

Counts are kept by how traffic was split when they came, as all that is said of arms rests on these
shares. What does not depend on the order of events is worked out from them whenever somebody asks;
only bets that begin anew now and then must be carried along. See `docs/rollout-evidence.md`.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from math import log
from typing import Any

from configs.policy import DEPENDS_ON_LOAD, EVENTS, Metric, Policy
from monitors.stats.event_ratio import WORSE, Split, log_gains, log_sum, log_worse
from monitors.stats.limit_bets import BETS, log_limit_gains
from monitors.stats.restarts import Restarts
from monitors.stats.weighted_difference import Trials
from serve.rollout.clusters import Clusters
from serve.rollout.paired import PairsSeen
from serve.rollout.tallies import JudgedArm, Pairs, Tally

Shares = tuple[int, int, int]
"""Of candidate, baseline and stable arm, in basis points."""

BETWEEN_ARMS = (*EVENTS, Metric.QUALITY_LOSS)
"""What is compared by who had an event."""

FROM_START = 0.6
"""What is bet from the beginning on: most harm is there from the first request on."""

RECENT_UNITS = 20
"""A hard limit speaks of the last units, of which so many at least are the candidate's."""

_MINUTE_S = 60
_NO_TRIALS = Trials(0.0, 0, 0, 0, 0)
_ARMS = (JudgedArm.CANDIDATE, JudgedArm.BASELINE, JudgedArm.STABLE)
CANDIDATE = (JudgedArm.CANDIDATE,)
_WITH_BASELINE = (JudgedArm.BASELINE,)
_WITH_ALL = (JudgedArm.BASELINE, JudgedArm.STABLE)
_WITH_NOBODY: tuple[JudgedArm, ...] = ()


def compared_with(metric: Metric, shares: Shares) -> tuple[JudgedArm, ...]:
    """The arms that the candidate is compared with while traffic is split by `shares`.

    What depends on load is compared with a baseline that has as much traffic on as many replicas,
    and with nobody while it has less. So latency and time-outs are compared with nobody while a
    promoted version bakes: the version before is all but idle. Errors go on being compared with
    what that one has kept: requests that were never sent, for want of room or of a connection, are
    no errors of a version, and those that remain are not for load to make.
    """
    candidate, baseline, _ = shares
    if metric not in DEPENDS_ON_LOAD:
        return _WITH_ALL
    if baseline:
        return _WITH_BASELINE if baseline >= candidate else _WITH_NOBODY
    return _WITH_ALL if metric is Metric.ERROR_RATIO else _WITH_NOBODY


@dataclass(frozen=True, slots=True)
class Evidence:
    """All that was counted in a rollout so far.

    `seen` has tallies by arm for each split of traffic. `harm` has the bets that begin anew on
    first requests with an event of a metric, `clusters` all bets on metrics whose events cluster,
    `limits` the bets of the hard limits, `at` these limits, and `recent` the last units that they
    are about.
    """

    harm: Mapping[Metric, Restarts] = field(default_factory=dict)
    clusters: Mapping[Metric, Clusters] = field(default_factory=dict)
    limits: Mapping[Metric, Restarts] = field(default_factory=dict)
    at: Mapping[Metric, float] = field(default_factory=dict)
    recent: Mapping[Metric, Trials] = field(default_factory=dict)
    seen: Mapping[Shares, Mapping[JudgedArm, Tally]] = field(default_factory=dict)
    pairs: PairsSeen = field(default_factory=PairsSeen)

    @classmethod
    def begin(cls, policy: Policy) -> Evidence:
        """Nothing seen yet."""
        watched = [each for each in policy.guardrails if each.metric in BETWEEN_ARMS]
        limits: dict[Metric, float] = {each.metric: each.share for each in policy.hard_limits}
        return cls(
            harm={each.metric: Restarts.of(len(WORSE)) for each in watched if not each.block_s},
            clusters={each.metric: Clusters.of(each) for each in watched if each.block_s},
            limits={metric: Restarts.of(BETS) for metric in limits},
            at=limits,
            recent=dict.fromkeys(limits, _NO_TRIALS),
        )

    def splits(self, metric: Metric) -> list[Split]:
        """Events of the candidate and of what it is compared with, while both had traffic."""
        each = ((shares, compared_with(metric, shares)) for shares in self.seen)
        return [
            _split(share, self.seen[shares], others, metric)
            for shares, others in each
            if (share := share_of(shares, CANDIDATE, others)) is not None
        ]

    def log_harm(self, metric: Metric) -> float:
        """The natural logarithm of the e-value against "no worse than what it is compared with".

        A part is bet on all events from the beginning on. The rest is bet anew now and then, on
        events of first requests only: a better version leaves more units without an event, which
        later seem many. Where events cluster, all rests on first requests.
        """
        clusters = self.clusters.get(metric)
        anew = clusters.anew if clusters is not None else self.harm[metric]
        won = log_worse(self.splits(metric)) if clusters is None else clusters.log_worse
        return log_sum([log(FROM_START) + won, log(1 - FROM_START) + anew.log_evidence])

    def trials(self, metric: Metric) -> list[Trials]:
        """First requests of units, and those with an event, while both arms had traffic."""
        each = ((shares, compared_with(metric, shares)) for shares in self.seen)
        return [
            _trials(share, self.seen[shares], others, metric)
            for shares, others in each
            if (share := share_of(shares, CANDIDATE, others)) is not None
        ]

    def units(self, ours: Iterable[JudgedArm], theirs: Iterable[JudgedArm]) -> list[Split]:
        """Units by arm, and the share of the first of both, while both had traffic.

        Those that wait for an outcome too: the units of a slow version are not missing.
        """
        one, other = tuple(ours), tuple(theirs)
        return [
            Split(share, _units(tallies, one), _units(tallies, other))
            for shares, tallies in self.seen.items()
            if (share := share_of(shares, one, other)) is not None
        ]

    def bets(self) -> tuple[set[Metric], ...]:
        """What is bet on, in each way that there is."""
        return set(self.harm), set(self.clusters), set(self.limits)

    def to_json(self) -> str:
        """All of it as text, numbers to the last bit."""
        return json.dumps(
            {
                "harm": {metric.value: bets.to_list() for metric, bets in self.harm.items()},
                "clusters": {
                    metric.value: each.to_list() for metric, each in self.clusters.items()
                },
                "limits": {metric.value: bets.to_list() for metric, bets in self.limits.items()},
                "recent": {metric.value: list(each) for metric, each in self.recent.items()},
                "seen": [
                    [list(shares), {arm.value: _tally_told(each) for arm, each in tallies.items()}]
                    for shares, tallies in self.seen.items()
                ],
                "pairs": self.pairs.told(),
            },
            separators=(",", ":"),
        )

    @classmethod
    def from_json(cls, text: str, policy: Policy) -> Evidence:
        """Go on from a text; `ValueError` where it is not evidence for this policy."""
        fresh = cls.begin(policy)
        try:
            told = json.loads(text)
            again = replace(
                fresh,
                harm={
                    Metric(name): Restarts.from_list(each) for name, each in told["harm"].items()
                },
                clusters={
                    Metric(name): fresh.clusters[Metric(name)].read(each)
                    for name, each in told["clusters"].items()
                },
                limits={
                    Metric(name): Restarts.from_list(each) for name, each in told["limits"].items()
                },
                recent={Metric(name): Trials(*each) for name, each in told["recent"].items()},
                seen=_seen_read(told["seen"]),
                pairs=PairsSeen.read(told["pairs"]),
            )
        except (KeyError, TypeError, AttributeError) as broken:
            message = f"no evidence of a rollout: {broken!r}"
            raise ValueError(message) from broken
        if again.bets() != fresh.bets():
            message = "evidence that was collected under another policy"
            raise ValueError(message)
        return again


def counts_of(told: Mapping[str, Any]) -> Evidence:
    """The counts alone of what `to_json` has told; `ValueError` where it is not evidence."""
    try:
        return Evidence(seen=_seen_read(told["seen"]), pairs=PairsSeen.read(told["pairs"]))
    except (KeyError, TypeError, AttributeError) as broken:
        message = f"no evidence of a rollout: {broken!r}"
        raise ValueError(message) from broken


def fold(
    evidence: Evidence,
    shares: Mapping[JudgedArm, int],
    tallies: Mapping[JudgedArm, Tally],
    step: int,
    at_s: float,
) -> Evidence:
    """Take in what was counted since the last time while traffic was split by `shares`.

    These are in basis points of all traffic; `at_s` is now, in seconds since any fixed moment. Bets
    that are due at this step and time begin before these counts, as their order is not known.
    """
    split: Shares = tuple(shares.get(arm, 0) for arm in _ARMS)  # type: ignore[assignment]
    harm, clusters = dict(evidence.harm), dict(evidence.clusters)
    limits, recent = dict(evidence.limits), dict(evidence.recent)
    minute = int(at_s // _MINUTE_S)

    def compared(metric: Metric) -> Trials | None:
        others = compared_with(metric, split)
        share = share_of(split, CANDIDATE, others)
        return None if share is None else _trials(share, tallies, others, metric)

    for metric, bets in evidence.harm.items():
        if (seen := compared(metric)) is not None:
            harm[metric] = _harm_folded(bets, seen, step, minute)
    for metric, each in evidence.clusters.items():
        if (seen := compared(metric)) is not None:
            clusters[metric] = each.fold(seen, step, at_s)
    for metric, bets in evidence.limits.items():
        if (seen := compared(metric)) is not None:
            limits[metric] = _limit_folded(bets, seen, evidence.at[metric], step, minute)
            if seen.units + seen.other_units:
                recent[metric] = _latest(recent[metric], seen)
    before = evidence.seen.get(split, {})
    arms = {arm: before.get(arm, Tally()) + tallies.get(arm, Tally()) for arm in _ARMS}
    return replace(
        evidence,
        harm=harm,
        clusters=clusters,
        limits=limits,
        recent=recent,
        seen={**evidence.seen, split: arms},
    )


def _harm_folded(bets: Restarts, trials: Trials, step: int, minute: int) -> Restarts:
    ours, theirs = trials.events, trials.other_events
    if not ours + theirs:
        return bets
    up, down = log_gains(trials.share, WORSE)
    gains = [ours * one + theirs * other for one, other in zip(up, down, strict=True)]
    return bets.at(step, minute).won(gains, int(ours + theirs))


def _limit_folded(bets: Restarts, trials: Trials, limit: float, step: int, minute: int) -> Restarts:
    failures = int(trials.events + trials.other_events)
    if not failures:
        return bets
    return bets.at(step, minute).won(list(log_limit_gains(trials, limit)), failures)


def fold_pairs(evidence: Evidence, pairs: Pairs) -> Evidence:
    """Take in what shadow and stable version have both answered since the last time."""
    return replace(evidence, pairs=evidence.pairs.folded(pairs))


def share_of(
    shares: Shares, ours: Iterable[JudgedArm], theirs: Iterable[JudgedArm]
) -> float | None:
    """The share of some arms in what they and others get; None while either have nothing."""
    of = dict(zip(_ARMS, shares, strict=True))
    one, other = sum(of[arm] for arm in ours), sum(of[arm] for arm in theirs)
    return one / (one + other) if one and other else None


def _split(
    share: float, tallies: Mapping[JudgedArm, Tally], others: Iterable[JudgedArm], metric: Metric
) -> Split:
    ours, theirs = (_events(tallies, arms, metric) for arms in (CANDIDATE, others))
    return Split(share, ours, theirs)


def _events(tallies: Mapping[JudgedArm, Tally], arms: Iterable[JudgedArm], metric: Metric) -> int:
    return sum(tallies[arm].events.get(metric, 0) for arm in arms if arm in tallies)


def _units(tallies: Mapping[JudgedArm, Tally], arms: Iterable[JudgedArm]) -> int:
    of = [tallies[arm] for arm in arms if arm in tallies]
    return sum(tally.units + tally.waiting for tally in of)


def _trials(
    share: float,
    tallies: Mapping[JudgedArm, Tally],
    others: Iterable[JudgedArm],
    metric: Metric,
) -> Trials:
    ours = [tallies[arm] for arm in CANDIDATE if arm in tallies]
    theirs = [tallies[arm] for arm in others if arm in tallies]
    return Trials(
        share,
        sum(each.told(metric) for each in ours),
        sum(each.trials.get(metric, 0) for each in ours),
        sum(each.told(metric) for each in theirs),
        sum(each.trials.get(metric, 0) for each in theirs),
    )


def _latest(before: Trials, trials: Trials) -> Trials:
    """The last units, of which the candidate has some twenty where it has as many."""
    if before.units >= RECENT_UNITS or before.share != trials.share:
        return trials
    return Trials(
        trials.share, *(one + other for one, other in zip(before[1:], trials[1:], strict=True))
    )


def _tally_told(tally: Tally) -> list[Any]:
    return [
        tally.units,
        {metric.value: count for metric, count in tally.trials.items()},
        {metric.value: count for metric, count in tally.events.items()},
        tally.labelled,
        tally.waiting,
        tally.untimed,
    ]


def _tally_read(told: list[Any]) -> Tally:
    units, trials, events, labelled, waiting, untimed = told
    return Tally(
        units=units,
        trials={Metric(name): count for name, count in trials.items()},
        events={Metric(name): count for name, count in events.items()},
        labelled=labelled,
        waiting=waiting,
        untimed=untimed,
    )


def _seen_read(told: list[Any]) -> dict[Shares, dict[JudgedArm, Tally]]:
    return {
        (candidate, baseline, stable): {
            JudgedArm(arm): _tally_read(each) for arm, each in tallies.items()
        }
        for (candidate, baseline, stable), tallies in told
    }
