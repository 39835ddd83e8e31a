"""Models that tests load by hand, and who counts it."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np

from configs.errors import Refused
from registry.inference import RunOptions
from serve.models.frames import Tensors
from serve.models.keeper import Runnable


class Constant:
    """A model that answers its own number for every row."""

    def __init__(self, number: float) -> None:
        self._number = number

    def run(self, tensors: Tensors, options: RunOptions | None = None) -> Tensors:
        """Run one batch."""
        del options
        return (np.full((len(tensors[0]), 1), self._number, np.float32),)


class Loads:
    """Loads constants of 40 bytes, counts how often, and waits or fails when a test says so."""

    def __init__(self) -> None:
        self.of: Counter[int] = Counter()
        self.broken: set[int] = set()
        self.surprising: set[int] = set()
        self.entered = threading.Event()
        self._go = threading.Event()
        self._go.set()
        self.at_once = 0
        self.most_at_once = 0

    def load(self, number: int) -> Runnable:
        """Load a model."""
        self.at_once += 1
        self.most_at_once = max(self.at_once, self.most_at_once)
        self.entered.set()
        assert self._go.wait(10.0)
        self.at_once -= 1
        self.of[number] += 1
        if number in self.broken:
            raise Refused("the file was changed on disk")
        if number in self.surprising:
            message = "nobody expected this"
            raise RuntimeError(message)
        return Constant(float(number))

    @contextmanager
    def held(self) -> Iterator[None]:
        """No load ends while the block runs."""
        self.entered.clear()
        self._go.clear()
        try:
            yield
        finally:
            self._go.set()


class Tallied:
    """Counts in plain sight."""

    def __init__(self) -> None:
        self.loads: list[str] = []
        self.unloads = 0
        self.failures = 0

    def loaded(self, seconds: float, error: str) -> None:
        """Note a load."""
        assert seconds >= 0
        self.loads.append(error)

    def unloaded(self) -> None:
        """Note a departure."""
        self.unloads += 1

    def failed(self) -> None:
        """Note a failure to do what is told."""
        self.failures += 1
