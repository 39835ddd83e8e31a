"""What many rollouts counted in the same stretch of time."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from configs.policy import Metric
from serve.rollout.tallies import JudgedArm, Tally

Ints = NDArray[np.int64]
Floats = NDArray[np.float64]
Flags = NDArray[np.bool_]

ARMS = (JudgedArm.CANDIDATE, JudgedArm.BASELINE, JudgedArm.STABLE)
CANDIDATE, BASELINE, STABLE = range(3)


@dataclass(frozen=True, slots=True)
class Counts:
    """Units, first requests with an event and first events, each (rollouts, arms).

    As in `Tally`, for many rollouts at once.
    """

    units: Ints
    trials: Mapping[Metric, Ints]
    events: Mapping[Metric, Ints]

    def of(self, row: int) -> dict[JudgedArm, Tally]:
        """The tallies of one rollout."""
        return {
            arm: Tally(
                units=int(self.units[row, at]),
                trials={metric: int(each[row, at]) for metric, each in self.trials.items()},
                events={metric: int(each[row, at]) for metric, each in self.events.items()},
            )
            for at, arm in enumerate(ARMS)
        }


def log_sums(logarithms: Floats) -> Floats:
    """The logarithms of the sums over the last axis of numbers given by their logarithms."""
    largest = logarithms.max(axis=-1)
    finite = np.where(np.isneginf(largest), 0.0, largest)
    with np.errstate(divide="ignore"):
        sums: Floats = np.log(np.exp(logarithms - finite[..., None]).sum(axis=-1)) + finite
    return sums
