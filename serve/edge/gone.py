"""A client that leaves while its request is being answered.

The connection puts itself into the scope of each request, as `scope["weir.connection"]`. Whoever
waits for something on the client's behalf says what to call if the client leaves first; the call
is forgotten when the answer is complete. Behind a server that knows nothing of this, nobody calls.
"""

from __future__ import annotations

from collections.abc import Callable, MutableMapping
from typing import Any, Protocol

CONNECTION = "weir.connection"


class Watched(Protocol):
    """**Protocol:** a connection that can say that its client has left."""

    def when_gone(self, call: Callable[[], object]) -> None:
        """Call once if the client leaves, at once if it has left."""


def when_gone(scope: MutableMapping[str, Any], call: Callable[[], object]) -> None:
    """Have something called once, on the loop, if the client of this request leaves early.

    One call a request: a later one replaces an earlier one.
    """
    connection: Watched | None = scope.get(CONNECTION)
    if connection is not None:
        connection.when_gone(call)
