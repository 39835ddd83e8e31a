"""Which models of a shared host are in memory, and which has to leave."""

from __future__ import annotations

from collections import Counter, OrderedDict
from collections.abc import Hashable, Iterator
from typing import Generic, TypeVar

K = TypeVar("K", bound=Hashable)


class Shelf(Generic[K]):
    """The models in memory, in the order in which they were last used, inside a budget of bytes.

    A model that is in use never leaves, so that the budget may be exceeded while more are in use
    than it has room for. Nothing else exceeds it but one model that is larger than all of it.
    """

    def __init__(self, budget_bytes: int) -> None:
        self._budget = budget_bytes
        self._sizes: OrderedDict[K, int] = OrderedDict()
        self._in_use: Counter[K] = Counter()
        self.used_bytes = 0

    def __contains__(self, key: K) -> bool:
        return key in self._sizes

    def __iter__(self) -> Iterator[K]:
        """Give the models in memory, the least recently used first."""
        return iter([*self._sizes])

    def __len__(self) -> int:
        return len(self._sizes)

    def put(self, key: K, size_bytes: int) -> None:
        """Note that a model has come into memory, as the one that was used last."""
        self.remove(key)
        self._sizes[key] = size_bytes
        self.used_bytes += size_bytes

    def remove(self, key: K) -> None:
        """Note that a model has left memory; no matter if it was not there."""
        self.used_bytes -= self._sizes.pop(key, 0)

    def touch(self, key: K) -> None:
        """Note that a model in memory is used now."""
        self._sizes.move_to_end(key)

    def take(self, key: K) -> None:
        """Note that a use of a model begins; each must end with `give_back`."""
        self._in_use[key] += 1
        if key in self._sizes:
            self._sizes.move_to_end(key)

    def give_back(self, key: K) -> None:
        """Note that a use of a model has ended."""
        self._in_use[key] -= 1
        if self._in_use[key] <= 0:
            del self._in_use[key]

    def surplus(self) -> tuple[K, ...]:
        """Give the models that have to leave, the least recently used first.

        The one that was used last stays, however large it is.
        """
        leaving: list[K] = []
        over = self.used_bytes - self._budget
        for key in [*self._sizes][:-1]:
            if over <= 0:
                break
            if key not in self._in_use:
                leaving.append(key)
                over -= self._sizes[key]
        return tuple(leaving)
