"""How many files, connections among them, a process of the gateway may have open."""

from __future__ import annotations

import resource

from configs.errors import StartError

_OTHERS = 256
"""What a process has open besides its clients' connections, and some to spare."""


def allow_connections(connections: int) -> None:
    """Let this process, and those that it starts, open all the files that the system allows.

    Raises `StartError` when so many connections would not fit.
    """
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if hard != resource.RLIM_INFINITY and hard < connections + _OTHERS:
        raise StartError(
            f"limits.connections_max is {connections}, but a process may open only {hard} files "
            f"here: set it to {max(hard - _OTHERS, 1)} at most, or allow "
            f"{connections + _OTHERS} files (ulimit -Hn)"
        )
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
