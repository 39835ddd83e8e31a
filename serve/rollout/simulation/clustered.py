"""The evidence of many rollouts on a guardrail whose events cluster.

The same as `serve.rollout.clusters`, one row a rollout.
"""

from __future__ import annotations

from collections.abc import Iterator
from math import log

import numpy as np
from numpy.random import Generator

from configs.policy import Guardrail
from monitors.stats.event_ratio import WORSE
from monitors.stats.mishap_bets import WORSE_STAKES, below_stakes, not_worse_stakes
from monitors.stats.weighted_difference import LOG_WEIGHTS
from serve.rollout.clusters import FORGET
from serve.rollout.simulation.beginnings import Beginnings
from serve.rollout.simulation.compared import Compared
from serve.rollout.simulation.counts import Counts, Flags, Floats, Ints, log_sums
from serve.rollout.simulation.goodness import Goodness


class ClusteredGuard:
    """What is known of one guardrail in each rollout.

    Of what comes in `length_s` each fold is a block; `fold_each` cuts it into as many as it has.
    """

    def __init__(
        self,
        guardrail: Guardrail,
        compared: Compared,
        rollouts: int,
        good_at: float,
        length_s: float,
    ) -> None:
        self._guardrail, self._compared, self._good_at = guardrail, compared, good_at
        self._blocks = max(1, int(length_s / guardrail.block_s))
        self._share = np.array([0.5 if each is None else each for each in compared.shares])
        self._won = np.full((rollouts, len(WORSE)), -log(len(WORSE)))
        self._anew = Beginnings(rollouts, len(WORSE))
        self._of_units = Goodness(guardrail, compared, rollouts)
        self._pending = _Pending(rollouts)
        weights = LOG_WEIGHTS
        if guardrail.margin_rel is None:
            self._stakes = np.array(below_stakes(guardrail.margin_abs or 0.0))
        else:
            self._stakes = np.array(not_worse_stakes(guardrail.margin_rel))
            weights = np.full(len(self._stakes), -log(len(self._stakes)))
        self._of_mishaps = np.tile(weights, (rollouts, 1))
        self.units = np.zeros(rollouts, np.int64)
        self.bad_events = np.zeros((rollouts, 2), np.int64)

    def fold(self, rows: Ints, split: Ints, counts: Counts, step: Ints, minute: Ints) -> None:
        """Take in what these rollouts counted, each under its split of traffic (by index)."""
        of = [
            self._compared.of(split, each)
            for each in (counts.units, counts.trials[self._guardrail.metric])
        ]
        self._block(rows, split, of, step, minute)

    def fold_each(
        self, rows: Ints, split: Ints, counts: Counts, step: Ints, minute: Ints, rng: Generator
    ) -> Iterator[Ints]:
        """Take it in block by block, into which it fell by chance; yields whose turn it was."""
        units = self._compared.of(split, counts.units)
        trials = self._compared.of(split, counts.trials[self._guardrail.metric])
        fine = units - trials
        everybody = np.arange(len(rows))
        for left in range(self._blocks, 0, -1):
            well, late = (rng.binomial(each, 1 / left) for each in (fine, trials))
            fine, trials = fine - well, trials - late
            self._block(rows, split, [well + late, late], step, minute)
            yield everybody

    def log_harm(self, rows: Ints) -> Floats:
        """The natural logarithms of the e-values that the candidate is worse."""
        return self._anew.log_mixed_with(self._won[rows], rows)

    def log_good(self, rows: Ints) -> Floats:
        """The natural logarithms of the e-values that it is not worse by the margin."""
        good: Floats = np.minimum(
            log_sums(self._of_units.won[rows]), log_sums(self._of_mishaps[rows])
        )
        return good

    def good(self, rows: Ints) -> Flags:
        """Whether they are not worse by the margin."""
        return np.asarray(self.log_good(rows) >= self._good_at, dtype=np.bool_)

    def _block(self, rows: Ints, split: Ints, of: list[Ints], step: Ints, minute: Ints) -> None:
        compared = self._compared.has(split)
        rows, split, step, minute = (each[compared] for each in (rows, split, step, minute))
        units, events = (each[compared] for each in of)
        self.units[rows] += units[:, 0]
        self.bad_events[rows] += events
        self._of_units.fold(rows, split, units, events)
        pending = self._pending
        at = np.flatnonzero(pending.over(rows))
        over = rows[at]
        self._settle(over)
        pending.begin(over, step[at], minute[at])
        pending.add(rows, step, minute, self._share[split], units, events)

    def _settle(self, rows: Ints) -> None:
        pending = self._pending
        some = rows[~pending.rests[rows]]
        ours, theirs = (1 - pending.lost[some]).T
        gains = np.log1p(WORSE_STAKES * (ours * pending.part[some] - theirs)[:, None])
        self._won[some] += gains
        happened = pending.events[some].sum(axis=1) > 0
        begun = some[happened]
        once = np.ones(len(begun), np.int64)
        self._anew.fold(begun, pending.step[begun], pending.minute[begun], gains[happened], once)
        self._of_mishaps[some] += np.log1p(self._stakes * self._better(some)[:, None])

    def _better(self, rows: Ints) -> Floats:
        """By how much the candidate's blocks were better than by the margin worse."""
        pending, margin = self._pending, self._guardrail.margin_abs or 0.0
        if self._guardrail.margin_rel is None:
            ours, theirs = (pending.events[rows] / pending.units[rows]).T
            less: Floats = margin - (ours - theirs)
            return less
        ours, theirs = (1 - pending.lost[rows]).T
        fewer: Floats = theirs - ours / (1 + self._guardrail.margin_rel)
        return fewer


class _Pending:
    """The block that each rollout is in, as `serve.rollout.block` has it; looks are as long."""

    def __init__(self, rollouts: int) -> None:
        self._looks = np.full(rollouts, -1)
        self._mean = np.zeros(rollouts)
        self.kept, self.rests = np.ones(rollouts), np.zeros(rollouts, bool)
        self.part, self.lost = np.ones(rollouts), np.ones((rollouts, 2))
        self.units, self.events = np.zeros((rollouts, 2)), np.zeros((rollouts, 2))
        self.step, self.minute = np.zeros(rollouts, np.int64), np.zeros(rollouts, np.int64)

    def over(self, rows: Ints) -> Flags:
        """Whose block is over: the first one begins at the first look."""
        over: Flags = (self._looks[rows] > 0) & (self.units[rows].min(axis=1) > 0)
        return over

    def begin(self, rows: Ints, step: Ints, minute: Ints) -> None:
        """Begin the next block."""
        busier = self.events[rows].max(axis=1)
        self._mean[rows] = (1 - FORGET) * self._mean[rows] + FORGET * busier
        self.kept[rows] = 1 / np.maximum(1.0, self._mean[rows])
        self.rests[rows] = (busier > 0) & ~self.rests[rows]
        self.part[rows] = self.lost[rows] = 1.0
        self.units[rows] = self.events[rows] = 0.0
        self.step[rows], self.minute[rows] = step, minute
        self._looks[rows] = 0

    def add(
        self, rows: Ints, step: Ints, minute: Ints, share: Floats, units: Ints, events: Ints
    ) -> None:
        """Take in first requests and those with an event, each (rows, 2)."""
        at = np.flatnonzero(self._looks[rows] < 0)
        self.step[rows[at]], self.minute[rows[at]] = step[at], minute[at]
        fewer = np.minimum(share, 1 - share)
        self.part[rows] = np.minimum(self.part[rows], fewer / share)
        lose = 1 - self.kept[rows, None] * np.stack([np.ones_like(share), fewer / (1 - share)], 1)
        self.lost[rows] *= lose**events
        self.units[rows] += units
        self.events[rows] += events
        self._looks[rows] += 1
