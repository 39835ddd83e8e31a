"""The batches that have left, and those that must go once more."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator

from serve.models.batch import Batch, Carrier


class Away:
    """What is `out` and by which carrier, and what must go `again`; `jobs` is how many in all."""

    __slots__ = ("again", "jobs", "out")

    def __init__(self) -> None:
        self.out: dict[Batch, Carrier] = {}
        self.again: deque[Batch] = deque()
        self.jobs = 0

    def __iter__(self) -> Iterator[Batch]:
        yield from self.again
        yield from self.out

    def __bool__(self) -> bool:
        return bool(self.out or self.again)

    def leaves(self, batch: Batch, carrier: Carrier) -> None:
        """Note that a batch is out."""
        self.out[batch] = carrier
        self.jobs += len(batch.jobs)

    def came_back(self, batch: Batch) -> None:
        """Note that a batch is no longer out."""
        del self.out[batch]
        self.jobs -= len(batch.jobs)

    def go_again(self, batch: Batch) -> None:
        """Keep a batch that must go once more."""
        self.again.append(batch)
        self.jobs += len(batch.jobs)

    def next_again(self) -> Batch | None:
        """Take the batch that must go next, if there is one that somebody waits for."""
        while self.again:
            batch = self.again.popleft()
            self.jobs -= len(batch.jobs)
            if not batch.forsaken:
                return batch
        return None

    def forget(self) -> None:
        """Forget what must go once more."""
        self.jobs -= sum(len(batch.jobs) for batch in self.again)
        self.again.clear()
