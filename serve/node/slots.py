"""Who accepts on which of a port's listening sockets: one slot for each replica that there will be.

The kernel deals connections out evenly over the sockets that share a port, whether or not anybody
accepts on them: every slot needs somebody, at all times.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import TypeVar

B = TypeVar("B")

_STUCK_LOOKS = 2
_SHARED_LOOKS = 10


def shares(
    slots: int, borrowers: Sequence[B], stuck: Collection[int] = ()
) -> dict[B, frozenset[int]]:
    """Give each borrower the slots to accept on: every slot has somebody, everybody has a slot.

    With as many borrowers as slots each has one of its own. While there are more, as when new ones
    take over from old ones, some share. A slot that is `stuck` is everybody's.
    """
    given: dict[B, set[int]] = {borrower: set(stuck) for borrower in borrowers}
    for turn in range(max(slots, len(borrowers)) if borrowers else 0):
        given[borrowers[turn % len(borrowers)]].add(turn % slots)
    return {borrower: frozenset(mine) for borrower, mine in given.items()}


class Stuck:
    """Finds slots whose connections wait although somebody is there: its owner hangs.

    A slot is stuck when connections wait in it at two looks running, and for ten looks more.
    """

    def __init__(self, slots: int) -> None:
        self._waited = [0] * slots
        self._shared = [0] * slots

    def look(self, waiting: Sequence[int]) -> frozenset[int]:
        """Give the slots that are stuck, told how many connections wait in each at this moment."""
        for slot, connections in enumerate(waiting):
            self._waited[slot] = self._waited[slot] + 1 if connections else 0
            if self._waited[slot] >= _STUCK_LOOKS:
                self._shared[slot] = _SHARED_LOOKS
            elif self._shared[slot]:
                self._shared[slot] -= 1
        return frozenset(slot for slot, looks in enumerate(self._shared) if looks)
