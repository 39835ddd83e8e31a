"""Which units a rollout has seen, and what of them was counted: a table of fixed size.

Only units with a `Weir-Key` are remembered. A prediction id is seen once, and needs no memory.
"""

from __future__ import annotations

from collections.abc import Collection
from hashlib import blake2b

import numpy as np

UNKEYED = -1
"""The place of a unit that comes once: everything of it is new."""
LEFT_OUT = -2
"""The place of a unit of which nothing is counted."""

_SLOTS = 1 << 21
UNITS_MAX = _SLOTS // 2
_FLAGS = 0xFF
_NAME = ~_FLAGS & (1 << 64) - 1
_TAKEN = 1 << 7
_PROBES_MAX = 128
_KEY_MAX = 64
_SHARE_BITS = 40


class Units:
    """Remembers up to `most` units (2**20) in 16 MiB, which are only taken as they are needed.

    A slot holds 56 bits of the unit's BLAKE2b digest, keyed by the rollout, and eight flags. Two of
    a million units share a digest with a chance of 1 in 100,000, and then count as one. Nothing is
    ever moved, so that a place stays valid and no request pays for the table's growth.
    """

    __slots__ = ("_hasher", "_most", "_slots", "count", "full")

    def __init__(self, rollout: str, most: int = UNITS_MAX) -> None:
        self._hasher = blake2b(digest_size=8, key=rollout.encode()[:_KEY_MAX])
        self._slots = np.zeros(_SLOTS, np.uint64).data
        self._most = most
        self.count = 0
        self.full = False

    def digest(self, unit: bytes) -> int:
        """Give the number by which a unit is known, the same in every process."""
        hasher = self._hasher.copy()
        hasher.update(unit)
        return int.from_bytes(hasher.digest(), "little")

    def place(self, digest: int) -> int:
        """Give the place of a unit, which is kept for it; `LEFT_OUT` if there is no room."""
        slots, name = self._slots, digest & _NAME
        place = (digest >> 8) % _SLOTS
        for _ in range(_PROBES_MAX):
            held = slots[place]
            if not held:
                break
            if held & _NAME == name:
                return place
            place = (place + 1) % _SLOTS
        else:
            self.full = True
            return LEFT_OUT
        if self.count >= self._most:
            self.full = True
            return LEFT_OUT
        self.count += 1
        slots[place] = name | _TAKEN
        return place

    def first(self, place: int, flags: int) -> int:
        """Give those of the flags (below 128) that a unit has not had yet, and note them."""
        if place < 0:
            return flags if place == UNKEYED else 0
        held = self._slots[place]
        self._slots[place] = held | flags
        return flags & ~held


class Share:
    """Which keyed units this process counts, of several that a unit may come to.

    Each of `of` listening sockets has somebody who accepts on it. A unit belongs to one of them by
    its digest, and is counted by whoever has that one; what it asks of others is not counted at
    all. Which connection a request comes by has nothing to do with its arm, so this costs evidence
    and no validity.
    """

    __slots__ = ("_of", "_slots")

    def __init__(self, slots: Collection[int] = (0,), of: int = 1) -> None:
        self._slots = frozenset(slots)
        self._of = of

    def has(self, digest: int) -> bool:
        """Whether a unit of this digest is counted here."""
        return self._of == 1 or (digest >> _SHARE_BITS) % self._of in self._slots
