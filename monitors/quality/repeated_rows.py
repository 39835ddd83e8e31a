"""Repeated rows: whether whole rows come again soon, more often than chance makes them."""

from __future__ import annotations

import numpy as np

from configs.settings import Monitors
from monitors.blocks import SampleBlock
from monitors.profile.quality_counts import GROUP_ROWS
from monitors.profile.reading import watched
from monitors.profile.reference import ReferenceProfile
from monitors.profile.words import RowHash, WordColumns, Words, any_twice
from monitors.quality.events import REGISTER_AGAIN, EventShares, Expected, Said
from monitors.signal import State
from monitors.verdicts import NO_REFERENCE
from registry.card import Card

SUBJECT = "rows"

GROUPS_FLOOR = 0.1
"""Change of the share of groups that hold a row twice: about one row in three hundred."""

_BLOCK_GROUPS = 4


class RepeatedRows(EventShares):
    """**Detector** of rows that are the same in all watched features as another one near them.

    32 rows as they come are a group, against groups drawn by chance from the reference. Rows that
    make no group yet wait for the next block.
    """

    def __init__(self, card: Card, profile: ReferenceProfile | None, settings: Monitors) -> None:
        features = watched(card)
        said = {SUBJECT: _repeated(profile)} if features else {}
        super().__init__(
            "repeated_rows",
            said,
            settings,
            unit_rows=GROUP_ROWS,
            block=_BLOCK_GROUPS,
            only_more=True,
        )
        self._columns = WordColumns(features)
        self._hash = RowHash(len(features))
        self._waiting: Words = np.zeros(0, dtype=np.uint64)

    def update(self, block: SampleBlock) -> None:
        """Take in the inputs of one block."""
        if not self.subjects:
            return
        waited = len(self._waiting)
        fresh = self._hash.rows(self._columns.read(block.inputs, block.rows))
        hashes = np.concatenate([self._waiting, fresh])
        groups = len(hashes) // GROUP_ROWS
        self._waiting = hashes[groups * GROUP_ROWS :].copy()
        twice = any_twice(hashes[: groups * GROUP_ROWS].reshape(groups, GROUP_ROWS))
        # A group has the key of its last row.
        last = block.keys()[GROUP_ROWS - 1 - waited :: GROUP_ROWS]
        self.take(last, block.minute, twice[:, None])

    def state(self) -> State:
        """All that must be remembered, with the rows that wait."""
        return {**super().state(), "waiting": self._waiting}

    def restore(self, state: State) -> None:
        """Go on from a state; `ValueError` where it is not one of this detector."""
        super().restore(state)
        self._waiting = state["waiting"].astype(np.uint64)


def _repeated(profile: ReferenceProfile | None) -> Said:
    if profile is None:
        return NO_REFERENCE
    if profile.repeats is None:
        return REGISTER_AGAIN
    return Expected(profile.repeats.repeated, profile.repeats.groups, GROUPS_FLOOR)
