"""All gRPC connections of a listener: how many there may be, and a look at each every second."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from configs.errors import DeadlineExceeded, TooSlow
from configs.settings import Limits
from serve.edge.grpc_call import Call
from serve.edge.grpc_connection import GrpcConnection
from serve.edge.pace import Pace
from serve.edge.places import Places

_LOOK_S = 1.0
_LOOKS_IN_SLOW_S = 4
_AGE_S = 600.0
_SPREAD = 0.1
_SILENT_S = 30.0
"""Who was not heard for so long is asked whether he is there, and has `slow_s` to say so."""


class GrpcConnections:
    """The caps and the sweep: one timer for all connections, and none for a call.

    `on_closed` is told why a connection is broken off or turned away: `malformed`, also where a
    client breaks a rule after it has said goodbye, `slow_request` (no greeting), `slow_reader` or
    `too_many`. Not counted: calls that are refused or given up, and a client that does not say
    that it is there. A connection of nine to ten minutes is told to leave; while more than half of
    the places are taken, so is one without calls for `slow_s`. One that leaves keeps its calls.
    """

    def __init__(self, limits: Limits, on_closed: Callable[[str], None]) -> None:
        self._max = limits.connections_max
        self._untaken_max = limits.body_max_bytes
        self._pace = Pace(limits.slow_s, limits.slow_bytes_per_s)
        self._slow_s = limits.slow_s
        self._deadline_s = limits.deadline_s
        self._period = min(_LOOK_S, limits.slow_s / _LOOKS_IN_SLOW_S)
        self._timer: asyncio.TimerHandle | None = None
        self._places: Places[GrpcConnection] = Places(limits.connections_max)
        self._calls = 0
        self.count = on_closed

    def __len__(self) -> int:
        return len(self._places)

    def watch(self) -> None:
        """Look at all connections from now on."""
        self._timer = asyncio.get_running_loop().call_later(self._period, self._sweep)

    def leave(self) -> None:
        """Tell all clients to go elsewhere."""
        now = asyncio.get_running_loop().time()
        for connection in (*self._places.open,):
            connection.leaving.leave(now)

    def close(self) -> None:
        """Break off what is left, and look no more."""
        if self._timer is not None:
            self._timer.cancel()
        for connection in self._places:
            connection.channel.abort()

    def admit(self, connection: GrpcConnection) -> bool:
        """Take in a connection, unless there are too many."""
        if self._places.admit(connection):
            return True
        self.count("too_many")
        return False

    def gone(self, connection: GrpcConnection) -> None:
        """Forget a connection."""
        self._places.gone(connection)

    def began(self) -> bool:
        """Count a call; whether there may be so many."""
        self._calls += 1
        return self._calls <= self._max

    def has_room(self, untaken: int) -> bool:
        """Whether more may be answered where so many bytes wait to be taken."""
        return untaken <= self._untaken_max

    def ended(self) -> None:
        """Note that one call fewer is open."""
        self._calls -= 1

    def _sweep(self) -> None:
        loop = asyncio.get_running_loop()
        self._timer = loop.call_later(self._period, self._sweep)
        now = loop.time()
        crowded = self._places.crowded
        for connection in self._places:
            if self._takes_too_slowly(connection, now):
                self.count("slow_reader")
                connection.channel.reset()
            elif connection.channel.lingering:
                self._last_look(connection)
            else:
                self._look(connection, now, crowded=crowded)

    def _takes_too_slowly(self, connection: GrpcConnection, now: float) -> bool:
        channel, taking = connection.channel, connection.taking
        if taking.settled(channel.written):
            return False
        return taking.too_slow(self._pace, now, channel.written, channel.untaken())

    def _last_look(self, connection: GrpcConnection) -> None:
        """Break off a connection whose last answer was taken, and had time to be read."""
        taken = connection.channel.untaken() == 0
        if taken and connection.last_look:
            connection.channel.abort()
        connection.last_look = taken

    def _look(self, connection: GrpcConnection, now: float, *, crowded: bool) -> None:
        channel = connection.channel
        if not connection.greeted and self._pace.too_slow(now - connection.begun):
            connection.break_off("slow_request")
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
            call.since += self._period

    def _have_leave(self, connection: GrpcConnection, now: float, *, crowded: bool) -> None:
        """Have a connection leave that is old, or idle where there are many; ping a silent one."""
        leaving, idle_since = connection.leaving, connection.idle_since
        idle = idle_since is not None and now - idle_since > self._slow_s
        if leaving.farewell_since is not None:
            if idle and now - leaving.farewell_since > self._slow_s:
                connection.channel.abort()
        elif leaving.since is not None:
            if now - leaving.since > self._slow_s:
                leaving.farewell(now)
        elif now - connection.begun > _AGE_S * (1 - _SPREAD * connection.chance) or (
            crowded and idle
        ):
            leaving.leave(now)
        elif connection.pinged is None and now - connection.heard > _SILENT_S:
            connection.ping(now)

    def _look_at(self, connection: GrpcConnection, call: Call, now: float) -> None:
        """End a call that comes too slowly, or whose answer is taken too slowly.

        Calls share their connection: none is too slow while all together move enough, but for the
        time that a call has.
        """
        waited = now - call.since
        slow = self._pace.too_slow(waited, connection.moved() - call.moved)
        if call.over:
            taken = call.untaken - connection.untaken(call)
            if (slow or waited > self._deadline_s) and self._pace.too_slow(waited, taken):
                connection.reset(call)
        elif call.ended:
            return
        elif now > call.visit.deadline:
            call.desk.refuse(call, DeadlineExceeded("the call did not come within its time"))
        elif slow:
            call.desk.refuse(call, TooSlow("the call came too slowly"))
