"""The calls of a gRPC connection that were answered before they had come as a whole."""

from __future__ import annotations

from contextlib import suppress

from ngh2 import Connection as Session
from ngh2 import ErrorCode, NGH2Error

from serve.edge.grpc_call import Call


class Unread:
    """Has clients stop to send what nobody reads (RFC 9113, 8.1)."""

    def __init__(self, session: Session) -> None:
        self._session = session
        self._answered: list[tuple[int, Call | None]] = []

    def __len__(self) -> int:
        return len(self._answered)

    def add(self, stream_id: int, call: Call | None) -> None:
        """Take in a stream that is answered, maybe no call of gRPC."""
        self._answered.append((stream_id, call))

    def stop(self) -> bool:
        """Reset the streams whose answers were taken; whether there were any."""
        session, waiting = self._session, []
        for stream_id, call in self._answered:
            if session.queued_body_size(stream_id):
                waiting.append((stream_id, call))
            elif call is None or not call.ended:
                with suppress(NGH2Error):  # The client has taken the call back.
                    session.reset_stream(stream_id, ErrorCode.NO_ERROR)
        stopped = len(waiting) < len(self._answered)
        self._answered = waiting
        return stopped
