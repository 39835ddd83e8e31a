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
from monitors.stats.mishap_bets import WORSE_STAKES, not_worse_stakes
from monitors.stats.weighted_difference import LOG_WEIGHTS, PARTS
from serve.rollout.clusters import FORGET
from serve.rollout.evidence import FROM_START
from serve.rollout.simulation.beginnings import Beginnings
from serve.rollout.simulation.compared import Compared
from serve.rollout.simulation.counts import Counts, Flags, Floats, Ints, log_sums


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
        share = np.array([0.5 if each is None else each for each in compared.shares])
        self._fewer = np.minimum(share, 1 - share)[:, None] / np.stack([share, 1 - share], axis=1)
        self._won = np.full((rollouts, len(WORSE)), -log(len(WORSE)))
        self._anew = Beginnings(rollouts, len(WORSE))
        self._goodness = _Goodness(guardrail, rollouts)
        self._pending = _Pending(rollouts)
        self._mean = np.zeros(rollouts)
        self._begun = np.zeros(rollouts, bool)
        self.units = np.zeros(rollouts, np.int64)
        self.bad_events = np.zeros((rollouts, 2), np.int64)

    def fold(self, rows: Ints, split: Ints, counts: Counts, step: Ints, minute: Ints) -> None:
        """Take in what these rollouts counted, each under its split of traffic (by index)."""
        of = [
            self._compared.of(split, each)
            for each in (
                counts.units,
                counts.trials[self._guardrail.metric],
                counts.events[self._guardrail.metric],
            )
        ]
        self._block(rows, split, of, step, minute)

    def fold_each(
        self, rows: Ints, split: Ints, counts: Counts, step: Ints, minute: Ints, rng: Generator
    ) -> Iterator[Ints]:
        """Take it in block by block, into which it fell by chance; yields whose turn it was."""
        units = self._compared.of(split, counts.units)
        trials = self._compared.of(split, counts.trials[self._guardrail.metric])
        later = self._compared.of(split, counts.events[self._guardrail.metric]) - trials
        fine = units - trials
        everybody = np.arange(len(rows))
        for left in range(self._blocks, 0, -1):
            now = [rng.binomial(each, 1 / left) for each in (fine, trials, later)]
            fine, trials, later = (
                each - some for each, some in zip((fine, trials, later), now, strict=True)
            )
            of = [now[0] + now[1], now[1], now[1] + now[2]]
            self._block(rows, split, of, step, minute)
            yield everybody

    def log_harm(self, rows: Ints) -> Floats:
        """The natural logarithms of the e-values that the candidate is worse."""
        from_start = log_sums(self._won[rows])
        anew = self._anew.log_evidence(rows)
        harm: Floats = np.logaddexp(log(FROM_START) + from_start, log(1 - FROM_START) + anew)
        return harm

    def log_good(self, rows: Ints) -> Floats:
        """The natural logarithms of the e-values that it is not worse by the margin."""
        good: Floats = log_sums(self._goodness.won[rows])
        return good

    def good(self, rows: Ints) -> Flags:
        """Whether they are not worse by the margin."""
        return np.asarray(self.log_good(rows) >= self._good_at, dtype=np.bool_)

    def _block(self, rows: Ints, split: Ints, of: list[Ints], step: Ints, minute: Ints) -> None:
        compared = self._compared.has(split)
        rows, split, step, minute = (each[compared] for each in (rows, split, step, minute))
        units, trials, events = (each[compared] for each in of)
        self.units[rows] += units[:, 0]
        self.bad_events[rows] += events
        margin = self._guardrail.margin_rel or 0.0
        self._pending.add(rows, self._fewer[split], units, trials, events, margin)
        # A block lasts from one look to the next: what the first one sees is the begin of one.
        over = self._begun[rows] & (self._pending.units[rows].min(axis=1) > 0)
        self._begun[rows] = True
        self._settle(rows[over], step[over], minute[over])

    def _settle(self, rows: Ints, step: Ints, minute: Ints) -> None:
        pending = self._pending
        bet = ~pending.rests[rows]
        some = rows[bet]
        kept = 1 - pending.lost[some]
        self._won[some] += np.log1p(WORSE_STAKES * (kept[:, :1] - kept[:, 1:]))
        first = pending.trials[some].sum(axis=1) > 0
        kept = 1 - pending.first_lost[some]
        gains = np.log1p(WORSE_STAKES * (kept[:, :1] - kept[:, 1:]))[first]
        self._anew.fold(
            some[first], step[bet][first], minute[bet][first], gains, np.ones(len(gains), np.int64)
        )
        self._goodness.fold(some, pending)
        busier = pending.events[rows].max(axis=1)
        self._mean[rows] = (1 - FORGET) * self._mean[rows] + FORGET * busier
        rests = (busier > 0) & bet
        pending.begin(rows, 1 / np.maximum(1.0, self._mean[rows]), rests)


class _Pending:
    """The block that each rollout is in, as `serve.rollout.block` has it."""

    def __init__(self, rollouts: int) -> None:
        self.kept, self.rests = np.ones(rollouts), np.zeros(rollouts, bool)
        self.units, self.trials, self.events = (np.zeros((rollouts, 2)) for _ in range(3))
        self.lost, self.first_lost = np.ones((rollouts, 2)), np.ones((rollouts, 2))
        self.spared = np.ones(rollouts)

    def add(
        self, rows: Ints, fewer: Floats, units: Ints, trials: Ints, events: Ints, margin: float
    ) -> None:
        """Take in first requests, and first events of all requests, each (rows, 2)."""
        kept = self.kept[rows, None] * fewer
        self.units[rows] += units
        self.trials[rows] += trials
        self.events[rows] += fewer * events
        self.lost[rows] *= (1 - kept) ** events
        self.first_lost[rows] *= (1 - kept) ** trials
        self.spared[rows] *= (1 - kept[:, 0] / (1 + margin)) ** trials[:, 0]

    def begin(self, rows: Ints, kept: Floats, rests: Flags) -> None:
        """Begin the next."""
        self.kept[rows], self.rests[rows] = kept, rests
        self.units[rows] = self.trials[rows] = self.events[rows] = 0.0
        self.lost[rows] = self.first_lost[rows] = 1.0
        self.spared[rows] = 1.0


class _Goodness:
    """Bets against "worse by the margin or more", of each rollout."""

    def __init__(self, guardrail: Guardrail, rollouts: int) -> None:
        self._margin_rel, self._margin = guardrail.margin_rel, guardrail.margin_abs or 0.0
        if self._margin_rel is None:
            self._stakes = PARTS / (1 - self._margin)
            weights = LOG_WEIGHTS
        else:
            self._stakes = np.array(not_worse_stakes(self._margin_rel))
            weights = np.full(len(self._stakes), -log(len(self._stakes)))
        self.won = np.tile(weights, (rollouts, 1))

    def fold(self, rows: Ints, pending: _Pending) -> None:
        """Take in the blocks that these rollouts have ended."""
        if self._margin_rel is None:
            shares = pending.trials[rows] / pending.units[rows]
            better = self._margin - (shares[:, 0] - shares[:, 1])
        else:
            better = pending.spared[rows] - pending.first_lost[rows, 1]
        self.won[rows] += np.log1p(self._stakes * better[:, None])
