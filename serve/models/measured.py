"""What was measured of the models that a process has loaded, for when they are loaded again."""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass

from serve.models.curve import Curve

_MOST = 1024
"""A kilobyte each, at most; a shared host that holds more models measures some of them again."""


ModelKey = tuple[str, str, int]
"""The digest of the file, the version's name, and the threads that a run might have."""


@dataclass(frozen=True, slots=True)
class Measured:
    """How long a model's runs took by their rows, and on how many threads each."""

    curve: Curve
    threads: int


class KnownModels:
    """What was measured of each version, for as long as its file and its threads are the same.

    Two versions of one file are measured each: a load that measures is also the one that shows how
    much memory a version takes. What was not asked for longest is forgotten first. For one thread.
    """

    def __init__(self, most: int = _MOST) -> None:
        self._most = most
        self._known: OrderedDict[ModelKey, Measured] = OrderedDict()

    def find(self, key: ModelKey) -> Measured | None:
        """Give what was measured of a model; None if that is not known."""
        found = self._known.get(key)
        if found is not None:
            self._known.move_to_end(key)
        return found

    def note(self, key: ModelKey, measured: Measured) -> None:
        """Remember what was measured of a model."""
        self._known[key] = measured
        self._known.move_to_end(key)
        if len(self._known) > self._most:
            self._known.popitem(last=False)
