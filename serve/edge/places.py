"""The places of a listener: how many connections there may be, and who is turned away."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Generic, Protocol, TypeVar

_TURNED_AWAY_MAX = 128


class Channel(Protocol):
    """**Protocol:** a connection's transport."""

    def abort(self) -> None:
        """Close at once."""


class Connected(Protocol):
    """**Protocol:** a connection."""

    @property
    def channel(self) -> Channel:
        """Its transport."""


C = TypeVar("C", bound=Connected)


class Places(Generic[C]):
    """So many `open` connections at most; of those `turned_away`, some are told why.

    To go over them gives both kinds, and they may end meanwhile.
    """

    def __init__(self, most: int) -> None:
        self._most = most
        self.open: set[C] = set()
        self._turned_away: set[C] = set()

    def __len__(self) -> int:
        return len(self.open)

    def __iter__(self) -> Iterator[C]:
        return iter((*self.open, *self._turned_away))

    @property
    def crowded(self) -> bool:
        """Whether more than half of the places are taken."""
        return len(self.open) > self._most // 2

    def admit(self, connection: C) -> bool:
        """Take in a connection, unless there are too many; far too many are not even told."""
        if len(self.open) < self._most:
            self.open.add(connection)
            return True
        if len(self._turned_away) < _TURNED_AWAY_MAX:
            self._turned_away.add(connection)
        else:
            connection.channel.abort()
        return False

    def gone(self, connection: C) -> None:
        """Forget a connection."""
        self.open.discard(connection)
        self._turned_away.discard(connection)
