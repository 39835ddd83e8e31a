"""Carriers that a test controls, and jobs whose answers can be told apart."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import numpy as np

from serve.models.batch import Batch
from serve.models.batcher import Batcher
from serve.models.frames import Tensors


def doubled(tensors: Tensors) -> Tensors:
    """An answer that belongs to its rows only: twice their sum, one column."""
    return tuple(2 * tensor.sum(axis=tuple(range(1, tensor.ndim))) for tensor in tensors)


class Holding:
    """Keeps the batches it is given until the test answers, fails or loses them."""

    def __init__(self, batcher: Batcher) -> None:
        self.batcher = batcher
        self.out: list[Batch] = []
        self.seen: list[Batch] = []
        self.dropped = 0
        batcher.free(self)

    def carry(self, batch: Batch) -> None:
        """Keep the batch."""
        self.out.append(batch)
        self.seen.append(batch)

    def drop(self) -> None:
        """Lose the batch, as a link does that is closed."""
        self.dropped += 1
        self.lose()

    def answer(self, run: Callable[[Tensors], Tensors] = doubled) -> None:
        """Answer the batch and be free again."""
        batch = self.out.pop()
        self.batcher.answered(batch, run(batch.tensors()))
        self.batcher.free(self)

    def lose(self) -> None:
        """Lose the batch; the carrier is gone."""
        self.batcher.lost(self.out.pop())

    def rows(self) -> list[int]:
        """The rows of each batch so far."""
        return [batch.rows for batch in self.seen]


class Answering:
    """Answers every batch on the loop's next turn, and remembers what it carried."""

    def __init__(self, batcher: Batcher, run: Callable[[Tensors], Tensors] = doubled) -> None:
        self._batcher = batcher
        self._run = run
        self.batches: list[Tensors] = []
        batcher.free(self)

    def carry(self, batch: Batch) -> None:
        """Answer soon."""
        asyncio.get_running_loop().call_soon(self._answer, batch)

    def drop(self) -> None:
        """Nothing to give up: every answer comes at once."""

    def _answer(self, batch: Batch) -> None:
        tensors = batch.tensors()
        self.batches.append(tensors)
        self._batcher.answered(batch, self._run(tensors))
        self._batcher.free(self)


def rows(count: int, first: float = 0.0, width: int = 3) -> Tensors:
    """One tensor whose rows all differ, and differ from those of other `first`s."""
    return (first + np.arange(count * width, dtype=np.float64).reshape(count, width),)


def soon(seconds: float = 30.0) -> float:
    """A deadline in so many seconds."""
    return asyncio.get_running_loop().time() + seconds


def batcher(*, batched: bool = True, max_rows: int = 8, queue_max_rows: int = 64) -> Batcher:
    """A batcher on the running loop."""
    return Batcher(batched=batched, max_rows=max_rows, queue_max_rows=queue_max_rows)
