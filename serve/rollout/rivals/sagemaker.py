"""SageMaker's rule: alarms that somebody set up, during two baking periods.

As documented (https://docs.aws.amazon.com/sagemaker/latest/dg/deployment-guardrails-blue-green-
canary.html and .../deployment-guardrails-configuration.html): 30 % of the traffic goes to the new
fleet for `WaitIntervalInSeconds` of 600, then all of it, and the old fleet ends after
`TerminationWaitInSeconds` of 600. If an alarm trips before, everything goes back. The alarms are as
in the example that watches the new fleet: `Period` 300 s, `EvaluationPeriods` 2 (both must breach),
`TreatMissingData` notBreaching. Without alarms nothing is ever rolled back. What is compared with
thresholds is the same as for the other tools (99 % success, the 99th percentile of latency): the
documents' example has the mean latency and 4xx errors.
"""

from __future__ import annotations

import numpy as np

from registry.records import FULL
from serve.rollout.rivals.rule import failing, running, slow
from serve.rollout.simulation.counts import Ints
from serve.rollout.simulation.outcomes import End
from serve.rollout.simulation.traffic import Requests

CANARY_BP = 3000
BAKE_S = 600.0
PERIODS = 2


class SageMaker:
    """Decides as SageMaker's deployment guardrails do."""

    name = "SageMaker"
    interval_s = 300.0

    def __init__(self, rollouts: int) -> None:
        self.weight_bp: Ints = np.full(rollouts, CANARY_BP, np.int64)
        self.end: Ints = np.zeros(rollouts, np.int64)
        self._breaching = np.zeros((2, rollouts), np.int64)

    def look(self, now_s: float, window: Requests) -> None:
        """Evaluate both alarms on the period that has just ended."""
        going = running(self.end)
        for breaching, bad in zip(self._breaching, (failing(window), slow(window)), strict=True):
            breaching[:] = np.where(bad & (window.all > 0), breaching + 1, 0)
        out = going & (self._breaching >= PERIODS).any(axis=0)
        done = going & ~out & (now_s >= 2 * BAKE_S)
        self.weight_bp = np.full_like(self.weight_bp, FULL if now_s >= BAKE_S else CANARY_BP)
        self.end = np.where(out, End.ROLLED_BACK, np.where(done, End.PROMOTED, self.end))
