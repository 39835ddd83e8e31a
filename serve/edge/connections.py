"""All connections of a listener: how many there may be, and a look at each every second."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from configs.errors import TooSlow
from configs.settings import Limits
from serve.edge.connection import Connection
from serve.edge.errors import fields
from serve.edge.pace import Pace
from serve.edge.places import Places

_LOOK_S = 1.0
_LOOKS_IN_SLOW_S = 4


class Connections:
    """The cap and the sweep: one timer for all connections, and none for a request.

    `on_closed` is told the reason for every connection that is broken off: `malformed`,
    `slow_request`, `slow_reader` or `too_many`. A connection that is idle for `idle_s` is closed;
    while more than half of the places are taken, one that is idle for `slow_s`.
    """

    def __init__(self, limits: Limits, idle_s: float, on_closed: Callable[[str], None]) -> None:
        self._pace = Pace(limits.slow_s, limits.slow_bytes_per_s)
        self._idle_s = idle_s
        self._slow_s = limits.slow_s
        self._period = min(_LOOK_S, limits.slow_s / _LOOKS_IN_SLOW_S)
        self._timer: asyncio.TimerHandle | None = None
        self._places: Places[Connection] = Places(limits.connections_max)
        self._common: list[tuple[bytes, bytes]] = []
        self._common_fields = b""
        self.count = on_closed

    def __len__(self) -> int:
        return len(self._places)

    def watch(self) -> None:
        """Look at all connections from now on."""
        self._timer = asyncio.get_running_loop().call_later(self._period, self._sweep)

    def close(self) -> None:
        """Break off what is left, and look no more."""
        if self._timer is not None:
            self._timer.cancel()
        for connection in self._places:
            connection.channel.abort()

    def admit(self, connection: Connection) -> bool:
        """Take in a connection, unless there are too many."""
        if self._places.admit(connection):
            return True
        self.count("too_many")
        return False

    def common(self, headers: list[tuple[bytes, bytes]]) -> bytes:
        """Give the header fields that all answers have; the list is another one every second."""
        if headers is not self._common:
            self._common, self._common_fields = headers, fields(headers)
        return self._common_fields

    def gone(self, connection: Connection) -> None:
        """Forget a connection."""
        self._places.gone(connection)

    def _sweep(self) -> None:
        loop = asyncio.get_running_loop()
        self._timer = loop.call_later(self._period, self._sweep)
        now = loop.time()
        crowded = self._places.crowded
        idle_s = min(self._idle_s, self._slow_s) if crowded else self._idle_s
        for connection in self._places:
            if connection.channel.lingering:
                self._last_look(connection)
            else:
                self._look(connection, now, idle_s)

    def _last_look(self, connection: Connection) -> None:
        """Break off a connection whose last answer had time to arrive."""
        if connection.last_look:
            connection.channel.abort()
        connection.last_look = True

    def _look(self, connection: Connection, now: float, idle_s: float) -> None:
        since = connection.arriving_since
        if self._takes_too_slowly(connection, now):
            self.count("slow_reader")
            connection.channel.reset()
        elif since is None:
            idle_since = connection.idle_since
            if idle_since is not None and now - idle_since > idle_s:
                connection.channel.close()
        elif connection.flow.read_paused:
            connection.arriving_since = since + self._period  # We keep the client waiting.
        elif self._pace.too_slow(now - since, 0 if connection.in_head else connection.received):
            connection.refuse(TooSlow("the request came too slowly"), "slow_request")

    def _takes_too_slowly(self, connection: Connection, now: float) -> bool:
        channel, taking = connection.channel, connection.taking
        if taking.settled(channel.written):
            return False
        return taking.too_slow(self._pace, now, channel.written, channel.untaken())
