"""All gRPC connections of a listener: how many there may be, and a look at each every second."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from configs.errors import TooSlow
from configs.settings import Limits
from serve.edge.grpc_call import Call
from serve.edge.grpc_connection import GrpcConnection
from serve.edge.pace import Pace

_LOOK_S = 1.0
_LOOKS_IN_SLOW_S = 4
_AGE_S = 600.0
_SPREAD = 0.1
_SILENT_S = 30.0
"""Who was not heard for so long is asked whether he is there, and has `slow_s` to say so."""


class GrpcConnections:
    """The caps and the sweep: one timer for all connections, and none for a call.

    `on_closed` is told the reason for every connection that is broken off: `malformed`,
    `slow_request`, `slow_reader` or `too_many`. A connection of nine to ten minutes is told
    to leave; while more than half of the places are taken, so is one without calls for `slow_s`.
    """

    def __init__(self, limits: Limits, on_closed: Callable[[str], None]) -> None:
        self._max = limits.connections_max
        self._untaken_max = limits.body_max_bytes
        self._pace = Pace(limits.slow_s, limits.slow_bytes_per_s)
        self._slow_s = limits.slow_s
        self._grace_s = limits.deadline_s
        self._period = min(_LOOK_S, limits.slow_s / _LOOKS_IN_SLOW_S)
        self._timer: asyncio.TimerHandle | None = None
        self._open: set[GrpcConnection] = set()
        self._calls = 0
        self.count = on_closed

    def __len__(self) -> int:
        return len(self._open)

    def watch(self) -> None:
        """Look at all connections from now on."""
        self._timer = asyncio.get_running_loop().call_later(self._period, self._sweep)

    def leave(self) -> None:
        """Tell all clients to go elsewhere."""
        now = asyncio.get_running_loop().time()
        for connection in (*self._open,):
            connection.leave(now)

    def close(self) -> None:
        """Break off what is left, and look no more."""
        if self._timer is not None:
            self._timer.cancel()
        for connection in (*self._open,):
            connection.channel.abort()

    def admit(self, connection: GrpcConnection) -> bool:
        """Take in a connection, unless there are too many."""
        if len(self._open) < self._max:
            self._open.add(connection)
            return True
        self.count("too_many")
        return False

    def gone(self, connection: GrpcConnection) -> None:
        """Forget a connection."""
        self._open.discard(connection)

    def began(self, untaken: int) -> bool:
        """Count a call; whether it may be answered where so many bytes wait to be taken."""
        self._calls += 1
        return self._calls <= self._max and untaken <= self._untaken_max

    def ended(self) -> None:
        """Note that one call fewer is open."""
        self._calls -= 1

    def _sweep(self) -> None:
        loop = asyncio.get_running_loop()
        self._timer = loop.call_later(self._period, self._sweep)
        now = loop.time()
        crowded = len(self._open) > self._max // 2
        for connection in (*self._open,):
            self._look(connection, now, crowded=crowded)

    def _look(self, connection: GrpcConnection, now: float, *, crowded: bool) -> None:
        channel, taking = connection.channel, connection.taking
        if not connection.greeted and self._pace.too_slow(now - connection.begun):
            connection.break_off("slow_request")
        elif not taking.settled(channel.written) and taking.too_slow(
            self._pace, now, channel.written, channel.untaken()
        ):
            self.count("slow_reader")
            channel.reset()
        elif connection.write_paused:
            self._keep_waiting(connection)
        elif connection.pinged is not None and now - connection.pinged > self._slow_s:
            channel.abort()
        else:
            self._have_leave(connection, now, crowded=crowded)
            for call in (*connection.calls.values(),):
                self._look_at(connection, call, now)

    def _keep_waiting(self, connection: GrpcConnection) -> None:
        """Hold against nobody the time in which nothing is read from him."""
        for call in connection.calls.values():
            if not call.over:
                call.since += self._period

    def _have_leave(self, connection: GrpcConnection, now: float, *, crowded: bool) -> None:
        """Have a connection leave that is old, or idle where there are many; ping a silent one."""
        since, idle_since = connection.leaving_since, connection.idle_since
        idle = idle_since is not None and now - idle_since > self._slow_s
        if since is not None:
            if now - since > self._grace_s:
                connection.channel.abort()
            elif now - since > self._slow_s:
                connection.farewell()
        elif now - connection.begun > _AGE_S * (1 - _SPREAD * connection.chance) or (
            crowded and idle
        ):
            connection.leave(now)
        elif connection.pinged is None and now - connection.heard > _SILENT_S:
            connection.ping(now)

    def _look_at(self, connection: GrpcConnection, call: Call, now: float) -> None:
        """End a call that comes too slowly, or whose answer is taken too slowly."""
        if call.over:
            if self._pace.too_slow(now - call.since, call.sent):
                connection.reset(call)
        elif not call.ended and self._pace.too_slow(now - call.since, call.received):
            call.desk.refuse(call, TooSlow("the call came too slowly"))
