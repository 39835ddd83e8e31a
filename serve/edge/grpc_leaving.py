"""How a server leaves a gRPC connection so that no call is lost (RFC 9113, 6.8)."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress

from ngh2 import Connection as Session
from ngh2 import NGH2Error

_FAREWELL = b"farewell"


class Leaving:
    """Tells a client to go elsewhere with new calls; those that are on their way are served.

    The first GOAWAY names no call, and the second, once it is sure that the client has heard the
    first, the last that is served. `since` and `farewell_since` are when they were said. A session
    that has ended meanwhile, for the client has said goodbye too, is left alone.
    """

    def __init__(self, session: Session, flush_soon: Callable[[], None]) -> None:
        self._session = session
        self._flush_soon = flush_soon
        self.since: float | None = None
        self.farewell_since: float | None = None

    def leave(self, now: float) -> None:
        """Begin to leave, unless that was begun before."""
        if self.since is None:
            self.since = now
            with suppress(NGH2Error):
                self._session.send_shutdown_notice()
                self._session.ping(_FAREWELL)
            self._flush_soon()

    def heard(self, ping: bytes, now: float) -> None:
        """Go on if this is the answer to the ping behind the first GOAWAY."""
        if ping == _FAREWELL:
            self.farewell(now)

    def farewell(self, now: float) -> None:
        """Take no new calls; the session ends when the open ones have ended."""
        if self.farewell_since is None:
            self.farewell_since = now
            with suppress(NGH2Error):
                self._session.send_goaway()
            self._flush_soon()
