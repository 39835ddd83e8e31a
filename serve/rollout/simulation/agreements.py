"""What shadows answered beside stable versions, in many rollouts at once.

The formulas are those of `serve.rollout.agreement`.
"""

from __future__ import annotations

from math import log

import numpy as np

from configs.policy import Metric, Policy
from monitors.stats.event_ratio import WORSE, log_gains, smaller_than
from serve.rollout.budget import harm_alpha
from serve.rollout.finding import Finding
from serve.rollout.simulation.counts import Flags, Floats, Ints, log_sums


class Agreements:
    """Rows that both answered, and those that they answered otherwise, by rollout."""

    def __init__(self, policy: Policy, rollouts: int, *, same_behaviour: bool) -> None:
        self._guardrail = policy.guardrail(Metric.SHADOW_DISAGREEMENT)
        self._least = policy.shadow.min_pairs if policy.shadow.fraction else 0
        self._judged = same_behaviour
        self._harm_at = -log(harm_alpha(policy, same_behaviour))
        self._good_at = -log(policy.alpha.promote)
        self._rows = np.zeros(rollouts, np.int64)
        self._otherwise = np.zeros(rollouts, np.int64)

    def fold(self, rows: Ints, pairs: Ints, otherwise: Ints) -> None:
        """Take in more pairs."""
        self._rows[rows] += pairs
        self._otherwise[rows] += otherwise

    def harmful(self, rows: Ints) -> Flags:
        """Whether too many are answered otherwise."""
        if self._guardrail is None or not self._judged:
            return np.zeros(len(rows), bool)
        return np.asarray(self._log_won(rows, WORSE) >= self._harm_at, dtype=np.bool_)

    def findings(self, row: int) -> list[Finding]:
        """The finding of one rollout, where the policy asks for one."""
        if self._guardrail is None:
            return []
        good = bool(self._rows[row] >= self._least)
        if self._judged:
            won = self._log_won(np.array([row]), smaller_than(1.0))[0]
            good = good and bool(won >= self._good_at)
        return [Finding(Metric.SHADOW_DISAGREEMENT, good=good)]

    def _log_won(self, rows: Ints, ratios: tuple[float, ...]) -> Floats:
        most = (self._guardrail.max if self._guardrail is not None else None) or 0.5
        up, down = (np.array(each) for each in log_gains(most, ratios))
        otherwise = self._otherwise[rows, None]
        won = otherwise * up + (self._rows[rows, None] - otherwise) * down
        total: Floats = log_sums(won) - log(len(ratios))
        return total
