"""Flagger's rule: two thresholds every interval, and a count of failed checks.

As documented (https://docs.flagger.app/usage/how-it-works, `spec.analysis`, and
https://docs.flagger.app/usage/deployment-strategies): every `interval` the success rate and the
99th percentile of latency of the last minute are checked. If both are within their
`thresholdRange`, the weight rises by `stepWeight` up to `maxWeight`, and then the canary is
promoted. If one is not, the advancement halts and the count of failed checks rises; it never falls
again, and at `threshold` the canary is rolled back. No values ("probably not receiving traffic",
https://docs.flagger.app/faq) is a failed check as well. The numbers are those of the documents'
first example: 1 minute, 10 failed checks, steps of 5 % up to 50 %, 99 % success.
"""

from __future__ import annotations

import numpy as np

from serve.rollout.rivals.rule import empty, failing, running, slow
from serve.rollout.simulation.counts import Ints
from serve.rollout.simulation.outcomes import End
from serve.rollout.simulation.traffic import Requests

THRESHOLD = 10
STEP_BP = 500
MOST_BP = 5000


class Flagger:
    """Decides as Flagger does."""

    name = "Flagger"
    interval_s = 60.0

    def __init__(self, rollouts: int) -> None:
        self.weight_bp: Ints = np.full(rollouts, STEP_BP, np.int64)
        self.end: Ints = np.zeros(rollouts, np.int64)
        self._failed = np.zeros(rollouts, np.int64)

    def look(self, now_s: float, window: Requests) -> None:
        """Check the last minute."""
        del now_s
        going = running(self.end)
        bad = empty(window) | failing(window) | slow(window)
        self._failed += going & bad
        out = going & (self._failed >= THRESHOLD)
        on = going & ~bad
        done = on & (self.weight_bp >= MOST_BP)
        self.weight_bp = np.where(on & ~done, self.weight_bp + STEP_BP, self.weight_bp)
        self.end = np.where(out, End.ROLLED_BACK, np.where(done, End.PROMOTED, self.end))
