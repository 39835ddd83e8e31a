"""The evidence of many rollouts of one policy at once.

The formulas are those of `serve.rollout.evidence` and `serve.rollout.guardrails`, and so are the
numbers in them; a test folds the same counts both ways. All that does not depend on the order of
events is a sum over counts, with one coefficient for each bet and split of traffic.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from math import log

import numpy as np
from numpy.random import Generator

from configs.policy import Guardrail, Metric, Policy
from monitors.stats.event_ratio import UNEQUAL, WORSE, log_gains
from monitors.stats.limit_bets import BETS, log_limit_gains
from monitors.stats.weighted_difference import Trials
from serve.rollout.budget import harm_alpha, limit_alpha
from serve.rollout.evidence import (
    BETWEEN_ARMS,
    CANDIDATE,
    RECENT_UNITS,
    Shares,
)
from serve.rollout.simulation.beginnings import Beginnings
from serve.rollout.simulation.clustered import ClusteredGuard
from serve.rollout.simulation.compared import Compared
from serve.rollout.simulation.counts import ARMS, Counts, Flags, Floats, Ints, log_sums
from serve.rollout.simulation.goodness import Goodness, coefficients


class Crowd:
    """All that is known of each rollout, under the splits of traffic given.

    Only of what is counted by unit: rows answered twice are not in it, but guardrails on them have
    their parts of the chances of being wrong.
    """

    def __init__(
        self,
        policy: Policy,
        splits: Sequence[Shares],
        rollouts: int,
        *,
        same_behaviour: bool,
        length_s: float,
    ) -> None:
        good_at = -log(policy.alpha.promote)
        judged = [each for each in policy.guardrails if each.metric in BETWEEN_ARMS]
        self.guards: dict[Metric, Guard | ClusteredGuard] = {
            each.metric: ClusteredGuard(
                each, Compared(each.metric, splits), rollouts, good_at, length_s
            )
            if each.block_s
            else Guard(each, splits, rollouts, good_at)
            for each in judged
        }
        self._limits = {
            each.metric: Limit(each.metric, each.share, splits, rollouts)
            for each in policy.hard_limits
        }
        self._check = SplitCheck(splits, rollouts)
        self._policy = policy
        self._needed = -log(harm_alpha(policy, same_behaviour))

    def fold(self, rows: Ints, split: Ints, counts: Counts, step: Ints, minute: Ints) -> None:
        """Take in what these rollouts counted, each under its split of traffic (by index).

        `counts` and all else is by row of `rows`, which holds each rollout at most once.
        """
        for guard in self.guards.values():
            guard.fold(rows, split, counts, step, minute)
        self._fold_rest(rows, split, counts, step, minute)

    def fold_looking(
        self, rows: Ints, split: Ints, counts: Counts, step: Ints, minute: Ints, rng: Generator
    ) -> Flags:
        """Take it in event by event in an order by chance, and say who was harmful at any look."""
        found = np.zeros(len(rows), bool)
        for guard in self.guards.values():
            for at in guard.fold_each(rows, split, counts, step, minute, rng):
                found[at] |= guard.log_harm(rows[at]) >= self._needed
        self._fold_rest(rows, split, counts, step, minute)
        return found | self._beyond_limits(rows)

    def harmful(self, rows: Ints) -> Flags:
        """Whether anything says that the candidate is worse."""
        found = self._beyond_limits(rows)
        for guard in self.guards.values():
            found |= guard.log_harm(rows) >= self._needed
        return found

    def good(self, rows: Ints) -> Flags:
        """Whether every guardrail that is not optional says that it is not worse by the margin."""
        found = np.ones(len(rows), bool)
        for metric, guard in self.guards.items():
            guardrail = self._policy.guardrail(metric)
            if guardrail is not None and not guardrail.optional:
                found &= guard.good(rows)
        return found

    def _fold_rest(self, rows: Ints, split: Ints, counts: Counts, step: Ints, minute: Ints) -> None:
        for limit in self._limits.values():
            limit.fold(rows, split, counts, step, minute)
        self._check.fold(rows, split, counts)

    def _beyond_limits(self, rows: Ints) -> Flags:
        found = np.zeros(len(rows), bool)
        for limit in self._limits.values():
            found |= limit.passed(rows, limit_alpha(self._policy))
        return found

    def suspect(self, rows: Ints) -> Flags:
        """Whether traffic seems not to be split as it should."""
        return self._check.suspect(rows, self._policy.alpha.split)


class Guard:
    """What is known of one guardrail of events in each rollout."""

    def __init__(
        self, guardrail: Guardrail, splits: Sequence[Shares], rollouts: int, good_at: float
    ) -> None:
        self._metric = guardrail.metric
        self._compared = Compared(guardrail.metric, splits)
        self._bets = coefficients(self._compared, lambda share: log_gains(share, WORSE))
        self._won = np.full((rollouts, len(WORSE)), -log(len(WORSE)))
        self._anew = Beginnings(rollouts, len(WORSE))
        self._goodness = Goodness(guardrail, self._compared, rollouts)
        self._good_at = good_at
        self.units = np.zeros(rollouts, np.int64)
        self.bad_events = np.zeros((rollouts, 2), np.int64)

    def fold(self, rows: Ints, split: Ints, counts: Counts, step: Ints, minute: Ints) -> None:
        """Take in what these rollouts counted, each under its split of traffic (by index)."""
        trials, later = self._fold_units(rows, split, counts)
        self._fold_events(rows, split, trials, trials + later, step, minute)

    def fold_each(
        self, rows: Ints, split: Ints, counts: Counts, step: Ints, minute: Ints, rng: Generator
    ) -> Iterator[Ints]:
        """Take it in event by event, in an order by chance; yields whose turn it was, by index."""
        left = np.hstack(self._fold_units(rows, split, counts))
        while (at := np.flatnonzero(left.sum(1))).size:
            upto = left[at].cumsum(1)
            which = (rng.random(at.size) * upto[:, -1] < upto.T).argmax(axis=0)
            left[at, which] -= 1
            event = np.eye(4, dtype=np.int64)[which]
            trials = event[:, :2]
            events = trials + event[:, 2:]
            self._fold_events(rows[at], split[at], trials, events, step[at], minute[at])
            yield at

    def good(self, rows: Ints) -> Flags:
        """Whether they are not worse by the margin."""
        return np.asarray(self.log_good(rows) >= self._good_at, dtype=np.bool_)

    def _fold_units(self, rows: Ints, split: Ints, counts: Counts) -> tuple[Ints, Ints]:
        """Take in all but events; returns those of first requests and later ones, (rows, 2)."""
        units = self._compared.of(split, counts.units)
        trials = self._compared.of(split, counts.trials[self._metric])
        events = self._compared.of(split, counts.events[self._metric])
        self.units[rows] += units[:, 0]
        self._goodness.fold(rows, split, units, trials)
        return trials, events - trials

    def _fold_events(
        self, rows: Ints, split: Ints, trials: Ints, events: Ints, step: Ints, minute: Ints
    ) -> None:
        self.bad_events[rows] += events
        self._won[rows] += self._gains(split, events)
        first = trials.sum(1) > 0
        gains, count = self._gains(split[first], trials[first]), trials[first].sum(1)
        self._anew.fold(rows[first], step[first], minute[first], gains, count)

    def _gains(self, split: Ints, events: Ints) -> Floats:
        up, down = self._bets
        return events[:, :1] * up[split] + events[:, 1:] * down[split]

    def log_harm(self, rows: Ints) -> Floats:
        """The natural logarithms of the e-values that the candidate is worse."""
        return self._anew.log_mixed_with(self._won[rows], rows)

    def log_good(self, rows: Ints) -> Floats:
        """The natural logarithms of the e-values that it is not worse by the margin."""
        good: Floats = log_sums(self._goodness.won[rows])
        return good


class Limit:
    """What is known of one hard limit in each rollout."""

    def __init__(
        self, metric: Metric, limit: float, splits: Sequence[Shares], rollouts: int
    ) -> None:
        self._metric, self._limit = metric, limit
        self._compared = Compared(metric, splits)
        kinds = ((1, 1, 0, 0), (0, 0, 1, 1))
        gains = [
            [[0.0] * BETS if share is None else log_limit_gains(Trials(share, *kind), limit)]
            for share in self._compared.shares
            for kind in kinds
        ]
        self._gains = np.array(gains).reshape(len(splits), len(kinds), BETS)
        self._anew = Beginnings(rollouts, BETS)
        self._shares = np.array([each or 0.0 for each in self._compared.shares])
        self._recent = np.zeros((2, rollouts, 2), dtype=np.int64)
        self._recent_share = np.zeros(rollouts)

    def fold(self, rows: Ints, split: Ints, counts: Counts, step: Ints, minute: Ints) -> None:
        """Take in what these rollouts counted."""
        units = self._compared.of(split, counts.units)
        trials = self._compared.of(split, counts.trials[self._metric])
        happened = units.sum(1) > 0
        some, at = rows[happened], split[happened]
        self._remember(some, self._shares[at], np.stack([units, trials])[:, happened])
        failed = trials.sum(1) > 0
        some, at = rows[failed], split[failed]
        gains = np.einsum("rk,rkp->rp", trials[failed], self._gains[at])
        self._anew.fold(some, step[failed], minute[failed], gains, trials[failed].sum(1))

    def passed(self, rows: Ints, alpha: float) -> Flags:
        """Whether the candidate is beyond it while the other arm is not."""
        units, failed = self._recent[:, rows]
        beyond = failed > self._limit * units
        proved = self._anew.log_evidence(rows) >= -log(alpha)
        enough = units[:, 0] >= RECENT_UNITS
        return np.asarray(proved & enough & beyond[:, 0] & ~beyond[:, 1], dtype=np.bool_)

    def _remember(self, rows: Ints, shares: Floats, counts: Ints) -> None:
        """Keep the last units, of which the candidate has some twenty where it has as many."""
        anew = (self._recent[0, rows, 0] >= RECENT_UNITS) | (self._recent_share[rows] != shares)
        self._recent[:, rows[anew]] = 0
        self._recent[:, rows] += counts
        self._recent_share[rows] = shares


class SplitCheck:
    """Whether units are split as they should be, in each rollout."""

    def __init__(self, splits: Sequence[Shares], rollouts: int) -> None:
        pairs = ((CANDIDATE, ARMS[1:]), (ARMS[1:2], ARMS[2:]))
        self._compared = [Compared(None, splits, ours, theirs) for ours, theirs in pairs]
        self._bets = [
            coefficients(each, lambda share: log_gains(share, UNEQUAL)) for each in self._compared
        ]
        self._won = np.full((2, rollouts, len(UNEQUAL)), -log(len(UNEQUAL)))

    def fold(self, rows: Ints, split: Ints, counts: Counts) -> None:
        """Take in what these rollouts counted."""
        for won, compared, (up, down) in zip(self._won, self._compared, self._bets, strict=True):
            units = compared.of(split, counts.units)
            won[rows] += units[:, :1] * up[split] + units[:, 1:] * down[split]

    def suspect(self, rows: Ints, alpha: float) -> Flags:
        """Whether they are not."""
        won: Floats = log_sums(self._won[:, rows])
        return np.asarray((won >= log(2 / alpha)).any(axis=0), dtype=np.bool_)
