"""Who is compared with whom in each rollout, as traffic is split there."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from configs.policy import Metric
from serve.rollout.evidence import CANDIDATE, Shares, compared_with, share_of
from serve.rollout.simulation.counts import ARMS, Flags, Ints
from serve.rollout.tallies import JudgedArm


class Compared:
    """Sums of counts of the candidate (or another arm) and of what it is compared with."""

    def __init__(
        self,
        metric: Metric | None,
        splits: Sequence[Shares],
        ours: Sequence[JudgedArm] = CANDIDATE,
        theirs: Sequence[JudgedArm] = (),
    ) -> None:
        others = [theirs if metric is None else compared_with(metric, each) for each in splits]
        self.shares = [
            share_of(shares, ours, other) for shares, other in zip(splits, others, strict=True)
        ]
        # Nothing is compared where one side has no traffic.
        self._arms = np.array(
            [
                [[arm in side and share is not None for arm in ARMS] for side in (ours, other)]
                for other, share in zip(others, self.shares, strict=True)
            ],
            dtype=np.int64,
        )

    def of(self, split: Ints, counts: Ints) -> Ints:
        """(rows, 2): of the one and of the other."""
        sums: Ints = np.einsum("rsa,ra->rs", self._arms[split], counts)
        return sums

    def has(self, split: Ints) -> Flags:
        """Whether anything is compared under these splits of traffic."""
        return np.array([each is not None for each in self.shares])[split]
