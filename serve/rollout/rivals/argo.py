"""Argo Rollouts' rule: measurements in the background, of which so many may fail.

As documented (https://argo-rollouts.readthedocs.io/en/stable/features/analysis/, "Background
Analysis"): weights of 20, 40, 60 and 80 % for 10 minutes each, and a measurement every `interval`
of 5 minutes, a success if its `successCondition` holds. After three measurements of a metric that
failed (`failureLimit`) the analysis is failed and the weight goes back to nought. A measurement
that is not a number fails a condition that does not mention it ("NaN and Infinity"). Measurements
are inconclusive, which pauses for a person, where both conditions are given and neither holds; the
example gives one condition. After the last pause the canary is promoted. The thresholds are those
that Flagger is given here, 99 % success and the 99th percentile of latency.
"""

from __future__ import annotations

import numpy as np

from serve.rollout.rivals.rule import empty, failing, running, slow
from serve.rollout.simulation.counts import Ints
from serve.rollout.simulation.outcomes import End
from serve.rollout.simulation.traffic import Requests

STEPS_BP = (2000, 4000, 6000, 8000)
PAUSE_S = 600.0
FAILURES = 3


class Argo:
    """Decides as Argo Rollouts does."""

    name = "Argo Rollouts"
    interval_s = 300.0

    def __init__(self, rollouts: int) -> None:
        self.weight_bp: Ints = np.full(rollouts, STEPS_BP[0], np.int64)
        self.end: Ints = np.zeros(rollouts, np.int64)
        self._failed = np.zeros((2, rollouts), np.int64)

    def look(self, now_s: float, window: Requests) -> None:
        """Measure, then go on to the step that it is time for."""
        going = running(self.end)
        bad = np.stack([failing(window), slow(window)]) | empty(window)
        self._failed += going & bad
        out = going & (self._failed >= FAILURES).any(axis=0)
        step = int(now_s // PAUSE_S)
        done = going & ~out & (step >= len(STEPS_BP))
        self.weight_bp = np.full_like(self.weight_bp, STEPS_BP[min(step, len(STEPS_BP) - 1)])
        self.end = np.where(out, End.ROLLED_BACK, np.where(done, End.PROMOTED, self.end))
