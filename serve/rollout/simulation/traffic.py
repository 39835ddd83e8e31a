"""Generated traffic: how much comes, who comes again, what goes wrong, and by how much more often.

Everything that makes hours unlike each other is the same for all arms: waves, noise, outages, and
incidents in which everything fails more often. Some units come again and again, keep their arm, and
some of those fail far more often than others: their failures come in clusters.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from math import tau

import numpy as np

from configs.policy import EVENTS, Metric
from registry.records import FULL
from serve.rollout.simulation.counts import (
    BASELINE,
    CANDIDATE,
    STABLE,
    Counts,
    Flags,
    Floats,
    Ints,
)

_TYPICAL = {
    Metric.ERROR_RATIO: 0.003,
    Metric.TIMEOUT_RATIO: 0.001,
    Metric.INVALID_OUTPUT: 0.0001,
    Metric.LATENCY_OVER_SLO: 0.01,
}


@dataclass(frozen=True, slots=True)
class Traffic:
    """What traffic to generate; times in seconds, rates by second.

    `rate` is the mean rate of requests. `base` has the chance of each event with the stable
    version, `worse` how many times as likely it is with the candidate from `harm_from_s` on.
    Load swings by the share `swing` in `period_s` and by a factor whose logarithm has the standard
    deviation `noise`, anew every tick. Incidents come `incidents` times an hour, take about
    `incident_s`, and make every event `incident_times` as likely; in outages, as often and as long,
    nothing comes. `sticky` of the requests come from `users` units that come again, of whom the
    share `frail` have an error in `frail_chance` of their requests. Each arm's hosts stall `stalls`
    times an hour, and what comes in `stall_s` is answered too late then. A shadow answers the share
    `disagreement` otherwise.
    """

    rate: float = 20.0
    base: Mapping[Metric, float] = field(default_factory=lambda: dict(_TYPICAL))
    worse: Mapping[Metric, float] = field(default_factory=dict)
    harm_from_s: float = 0.0
    swing: float = 0.0
    period_s: float = 7200.0
    noise: float = 0.0
    incidents: float = 0.0
    incident_s: float = 120.0
    incident_times: float = 10.0
    outages: float = 0.0
    sticky: float = 0.0
    users: int = 200
    frail: float = 0.02
    frail_chance: float = 0.3
    stalls: float = 0.0
    stall_s: float = 0.2
    disagreement: float = 0.005


ROUGH = Traffic(swing=0.8, noise=0.5, incidents=0.5, outages=0.2, sticky=0.2)
"""Waves, noise, incidents, outages, and failures in clusters."""


@dataclass(frozen=True, slots=True)
class Requests:
    """What a tool sees that counts requests of the candidate, by rollout.

    `failed` counts errors and time-outs, `slow` those beyond a limit that one request in ten that
    is over the objective is beyond. `total` are the requests of all arms.
    """

    all: Ints
    failed: Ints
    slow: Ints
    total: Ints

    def plus(self, more: Requests) -> Requests:
        """These and more."""
        return Requests(
            self.all + more.all,
            self.failed + more.failed,
            self.slow + more.slow,
            self.total + more.total,
        )


class Stream:
    """Traffic for many rollouts; what comes is the same, however it is split, for the same seed."""

    def __init__(self, traffic: Traffic, rollouts: int, seed: int) -> None:
        self._traffic, self._rollouts = traffic, rollouts
        self._load, self._chance = (
            np.random.default_rng(each) for each in np.random.SeedSequence(seed).spawn(2)
        )
        self._phase = self._load.random(rollouts)
        self._incident = np.zeros(rollouts, bool)
        self._outage = np.zeros(rollouts, bool)
        shape = (rollouts, traffic.users if traffic.sticky else 0)
        self._place = self._load.integers(0, FULL, shape)
        self._frail = self._load.random(shape) < traffic.frail
        self._seen = np.zeros(shape, bool)
        self._had = {metric: np.zeros(shape, bool) for metric in EVENTS}

    def tick(
        self, now_s: float, length_s: float, rows: Ints, candidate_bp: Ints, baseline_bp: Ints
    ) -> tuple[Counts, Requests]:
        """What comes in so many seconds to the rollouts `rows`, whose shares are given by row."""
        mean = self._mean_requests(now_s, length_s)[rows]
        times = self._times(now_s, rows)
        sticky = self._traffic.sticky
        shares = np.stack([candidate_bp, baseline_bp], axis=1) / FULL
        units = self._split(self._chance.poisson(mean * (1 - sticky)), shares)
        trials = {
            metric: self._chance.binomial(units, np.minimum(times[metric], 1.0))
            for metric in EVENTS
        }
        trials[Metric.LATENCY_OVER_SLO] += self._stalled(
            units - trials[Metric.LATENCY_OVER_SLO], length_s
        )
        counts = Counts(units, trials, {metric: each.copy() for metric, each in trials.items()})
        failed = trials[Metric.ERROR_RATIO] + trials[Metric.TIMEOUT_RATIO]
        all_of = units.copy()
        slow = trials[Metric.LATENCY_OVER_SLO].copy()
        if sticky:
            visits = self._chance.poisson(mean * sticky)
            who = self._who_comes(visits, rows, candidate_bp, baseline_bp)
            np.add.at(all_of, (who.at, who.arm), 1)
            happened = self._visit(who, times, counts)
            for metric in (Metric.ERROR_RATIO, Metric.TIMEOUT_RATIO):
                np.add.at(failed, (who.at[happened[metric]], who.arm[happened[metric]]), 1)
            late = happened[Metric.LATENCY_OVER_SLO]
            np.add.at(slow, (who.at[late], who.arm[late]), 1)
        beyond = self._chance.binomial(slow[:, CANDIDATE], 0.1)
        ours = np.minimum(failed[:, CANDIDATE], all_of[:, CANDIDATE])
        return counts, Requests(all_of[:, CANDIDATE], ours, beyond, all_of.sum(1))

    def disagreements(self, rows: Ints) -> Ints:
        """How many of so many pairs disagree."""
        return self._chance.binomial(rows, self._traffic.disagreement)

    def _mean_requests(self, now_s: float, length_s: float) -> Floats:
        """For all rollouts, as load must not depend on who is still running."""
        traffic = self._traffic
        per_hour = length_s / 3600
        for on, often in ((self._incident, traffic.incidents), (self._outage, traffic.outages)):
            drawn = self._load.random(self._rollouts)
            starts = drawn < often * per_hour
            ends = drawn < length_s / traffic.incident_s
            on[:] = np.where(on, ~ends, starts)
        wave = 1 + traffic.swing * np.sin(tau * (now_s / traffic.period_s + self._phase))
        drawn = self._load.normal(0.0, 1.0, self._rollouts)
        noise = np.exp(traffic.noise * drawn - traffic.noise**2 / 2)
        return traffic.rate * length_s * wave * noise * ~self._outage

    def _times(self, now_s: float, rows: Ints) -> dict[Metric, Floats]:
        """The chance of each event by row and arm."""
        traffic = self._traffic
        incident = np.where(self._incident[rows], traffic.incident_times, 1.0)
        chances = {}
        for metric in EVENTS:
            of_arms = np.full(3, traffic.base.get(metric, 0.0))
            if now_s >= traffic.harm_from_s:
                of_arms[CANDIDATE] *= traffic.worse.get(metric, 1.0)
            chances[metric] = incident[:, None] * of_arms
        return chances

    def _stalled(self, units: Ints, length_s: float) -> Ints:
        """How many of these units came to an arm while its hosts stalled."""
        traffic = self._traffic
        if not traffic.stalls:
            return np.zeros_like(units)
        begins = self._chance.random(units.shape) < traffic.stalls * length_s / 3600
        late = self._chance.binomial(units, min(traffic.stall_s / length_s, 1.0))
        return np.where(begins, late, 0)

    def _split(self, total: Ints, shares: Floats) -> Ints:
        ours = self._chance.binomial(total, shares[:, 0])
        left = np.where(shares[:, 0] < 1, 1 - shares[:, 0], 1.0)
        beside = self._chance.binomial(total - ours, np.minimum(shares[:, 1] / left, 1.0))
        return np.stack([ours, beside, total - ours - beside], axis=1)

    def _who_comes(
        self, visits: Ints, rows: Ints, candidate_bp: Ints, baseline_bp: Ints
    ) -> _Visits:
        """Units that come again, each at most once in a tick."""
        users = self._traffic.users
        drawn = np.repeat(np.arange(len(rows)), visits) * users
        at, user = np.divmod(np.unique(drawn + self._chance.integers(0, users, drawn.size)), users)
        row = rows[at]
        place = self._place[row, user]
        beside = np.where(place >= FULL - baseline_bp[at], BASELINE, STABLE)
        return _Visits(at, row, user, np.where(place < candidate_bp[at], CANDIDATE, beside))

    def _visit(
        self, who: _Visits, times: Mapping[Metric, Floats], counts: Counts
    ) -> dict[Metric, Flags]:
        """Count what they are counted for; returns whose requests had which event."""
        row, user = who.row, who.user
        first = ~self._seen[row, user]
        self._seen[row, user] = True
        np.add.at(counts.units, (who.at[first], who.arm[first]), 1)
        happened = {}
        for metric, chances in times.items():
            chance = chances[who.at, who.arm]
            if metric is Metric.ERROR_RATIO:
                worse = chance / max(self._traffic.base.get(metric, 0.0), 1e-12)
                frail = self._frail[row, user]
                chance = np.where(frail, worse * self._traffic.frail_chance, chance)
            happens = self._chance.random(row.size) < chance
            new, both = happens & ~self._had[metric][row, user], happens & first
            self._had[metric][row[new], user[new]] = True
            np.add.at(counts.events[metric], (who.at[new], who.arm[new]), 1)
            np.add.at(counts.trials[metric], (who.at[both], who.arm[both]), 1)
            happened[metric] = happens
        return happened


@dataclass(frozen=True, slots=True)
class _Visits:
    """Requests of units that come again: at which row, in which rollout, of whom, in which arm."""

    at: Ints
    row: Ints
    user: Ints
    arm: Ints
