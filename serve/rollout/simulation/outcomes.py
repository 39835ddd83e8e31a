"""How simulated rollouts ended, and what that says of the rule that decided."""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum

import numpy as np
from scipy.special import betaincinv

from serve.rollout.simulation.counts import Floats, Ints


class End(IntEnum):
    """How a rollout ended."""

    OPEN = 0
    PROMOTED = 1
    ROLLED_BACK = 2
    HELD = 3


@dataclass(frozen=True, slots=True)
class Outcomes:
    """How rollouts ended under one rule, each by rollout.

    `after_s` is when it ended, or when the simulation did. Until then `exposed` requests had been
    answered by the candidate, of `requests` in all, and `bad` were its events.
    """

    rule: str
    end: Ints
    after_s: Floats
    exposed: Ints
    bad: Ints
    requests: Ints

    def share(self, end: End) -> Share:
        """How many ended so."""
        return Share(int((self.end == end).sum()), len(self.end))

    def median_after_s(self) -> float:
        """The median time to the end, in seconds."""
        return float(np.median(self.after_s))

    def median_exposed(self) -> float:
        """The median number of requests that the candidate answered before the end."""
        return float(np.median(self.exposed))

    def median_bad(self) -> float:
        """The median number of bad events that the candidate caused before the end."""
        return float(np.median(self.bad))


@dataclass(frozen=True, slots=True)
class Share:
    """So many of so many."""

    count: int
    of: int

    @property
    def value(self) -> float:
        """As a share."""
        return self.count / self.of if self.of else 0.0

    def upper(self, level: float = 0.95) -> float:
        """The one-sided upper bound of the chance (Clopper, Pearson, Biometrika 1934)."""
        if self.count >= self.of:
            return 1.0
        return float(betaincinv(self.count + 1, self.of - self.count, level))
