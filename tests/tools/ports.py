"""A port for a server that a test starts, or for one that is not there."""

from __future__ import annotations

from benchmarks.processes import free_ports


def free_port() -> int:
    """A port of loopback on which nobody listens, and which no connection will be given."""
    (port,) = free_ports(1)
    return port
