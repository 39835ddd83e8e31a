"""What the shadow's answers said beside the stable version's, and how surprising that was."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from monitors.stats.anytime_means import BoundedMean
from monitors.stats.paired_losses import NO_LOSSES, Losses
from serve.rollout.tallies import GroupPairs, Pairs

Group = tuple[str, str]


@dataclass(frozen=True, slots=True)
class GroupSeen:
    """Of one group: its counts, and the squared surprises of changes and of decisions.

    Changes are counted as 0, 1/2 or 1 for a decision that turned to no, stayed, turned to yes.
    """

    counts: GroupPairs = field(default_factory=GroupPairs)
    change_surprise: float = 0.0
    decision_surprise: float = 0.0

    def folded(self, more: GroupPairs) -> GroupSeen:
        """Take in more rows, each guessed by the mean of those of all times before this one."""
        known = self.counts
        change = (known.to_yes - known.to_no + known.rows + 1) / (2 * (known.rows + 1))
        decision = (known.yes + 0.5) / (known.rows + 1)
        stayed = more.rows - more.to_yes - more.to_no
        return GroupSeen(
            known + more,
            self.change_surprise
            + more.to_yes * (1 - change) ** 2
            + stayed * (0.5 - change) ** 2
            + more.to_no * change**2,
            self.decision_surprise
            + more.yes * (1 - decision) ** 2
            + (more.rows - more.yes) * decision**2,
        )

    @property
    def change(self) -> BoundedMean:
        """How decisions changed: 1 all to yes, 0 all to no, 1/2 for none."""
        counts = self.counts
        total = (counts.rows + counts.to_yes - counts.to_no) / 2
        return BoundedMean(counts.rows, total, self.change_surprise)

    @property
    def decision(self) -> BoundedMean:
        """How often the stable version decided yes."""
        return BoundedMean(self.counts.rows, float(self.counts.yes), self.decision_surprise)


@dataclass(frozen=True, slots=True)
class PairsSeen:
    """All pairs so far; `groups` in the order in which they were met.

    `change_surprise` sums the squares by which changes of the score were off what was guessed.
    """

    rows: int = 0
    disagreements: int = 0
    score_change: float = 0.0
    score_change_squared: float = 0.0
    groups: Mapping[Group, GroupSeen] = field(default_factory=dict)
    scored: int = 0
    beyond: int = 0
    change_surprise: float = 0.0
    losses: Losses = NO_LOSSES

    def folded(self, more: Pairs) -> PairsSeen:
        """Take in more, each guessed by the mean of those of all times before this one."""
        groups = dict(self.groups)
        for group in sorted(more.groups):
            groups[group] = groups.get(group, GroupSeen()).folded(more.groups[group])
        return PairsSeen(
            self.rows + more.rows,
            self.disagreements + more.disagreements,
            self.score_change + more.score_change,
            self.score_change_squared + more.score_change_squared,
            groups,
            self.scored + more.scored,
            self.beyond + more.beyond,
            self.change_surprise + self._surprise(more),
            self.losses.plus(more.losses),
        )

    def _surprise(self, more: Pairs) -> float:
        guess = self.score_change / (self.scored + 1)
        squares = more.score_change_squared - 2 * guess * more.score_change
        return max(0.0, squares + more.scored * guess**2)

    @property
    def change(self) -> BoundedMean | None:
        """How scores between 0 and 1 changed: 1 all from 0 to 1, 0 the reverse, 1/2 for none.

        None if some score was not between them.
        """
        if self.beyond:
            return None
        total = (self.score_change + self.scored) / 2
        return BoundedMean(self.scored, total, self.change_surprise / 4)

    def counts(self) -> Pairs:
        """The numbers alone."""
        groups = {group: each.counts for group, each in self.groups.items()}
        sums = (self.score_change, self.score_change_squared)
        return Pairs(
            self.rows, self.disagreements, *sums, groups, self.scored, self.beyond, self.losses
        )

    def told(self) -> list[Any]:
        """What JSON can hold."""
        return [
            self.rows,
            self.disagreements,
            self.score_change,
            self.score_change_squared,
            [
                [
                    *group,
                    each.counts.rows,
                    each.counts.to_yes,
                    each.counts.to_no,
                    each.counts.yes,
                    each.change_surprise,
                    each.decision_surprise,
                ]
                for group, each in self.groups.items()
            ],
            self.scored,
            self.beyond,
            self.change_surprise,
            list(self.losses),
        ]

    @classmethod
    def read(cls, told: list[Any]) -> PairsSeen:
        """The same again."""
        rows, disagreements, change, squared, groups, scored, beyond, surprise, losses = told
        return cls(
            rows,
            disagreements,
            change,
            squared,
            {
                (attribute, value): GroupSeen(
                    GroupPairs(rows, to_yes, to_no, yes), of_change, of_decision
                )
                for attribute, value, rows, to_yes, to_no, yes, of_change, of_decision in groups
            },
            scored,
            beyond,
            surprise,
            Losses(*losses),
        )
