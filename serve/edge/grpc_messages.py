"""The messages of a gRPC call as they arrive, never more of them than is allowed."""

from __future__ import annotations

from configs.errors import BadInput
from serve.edge.bodies import Bodies, Body
from serve.protocol.grpc_frames import PREFIX_BYTES, prefix

_PLAIN, _COMPRESSED = 0, 1


class Messages:
    """Cuts what arrives into messages, inflated if they are compressed.

    A message counts among the bodies that are being read until it is released. What is wrong is
    `BadInput`, too large `TooLarge`, and `Overloaded` when there is no room for it.
    """

    __slots__ = ("_bodies", "_body", "_encoding", "_left", "_prefix", "_whole_bytes")

    def __init__(self, bodies: Bodies, encoding: bytes | None) -> None:
        self._bodies = bodies
        self._encoding = encoding
        self._prefix = b""
        self._body: Body | None = None
        self._left = 0
        self._whole_bytes = 0

    @property
    def cut_off(self) -> bool:
        """Whether a message has begun and is not complete."""
        return self._body is not None or bool(self._prefix)

    def take(self, part: bytes) -> list[bytes]:
        """Take in a part; gives the messages that it completes."""
        messages: list[bytes] = []
        data, at = self._prefix + part, 0
        self._prefix = b""
        while True:
            body = self._body
            if body is None:
                if len(data) - at < PREFIX_BYTES:
                    self._prefix = data[at:]
                    return messages
                body = self._body = self._begin(*prefix(data, at))
                at += PREFIX_BYTES
            piece = data[at : at + self._left]
            at += len(piece)
            self._left -= len(piece)
            body.take(piece)
            if self._left:
                return messages
            messages.append(bytes(body.whole()))
            self._body = None
            self._whole_bytes += body.hand_over()

    def release(self) -> None:
        """Let others have the room, also that of a message which is not complete."""
        if self._body is not None:
            self._body.release()
            self._body = None
        self.release_whole()

    def release_whole(self) -> None:
        """Let others have the room of the messages that are complete."""
        self._bodies.left += self._whole_bytes
        self._whole_bytes = 0

    def _begin(self, flag: int, length: int) -> Body:
        if flag not in (_PLAIN, _COMPRESSED):
            raise BadInput(f"a message begins with {flag}, where 0 and 1 have a meaning")
        if flag == _COMPRESSED and self._encoding is None:
            raise BadInput("a message is marked as compressed, and grpc-encoding does not say how")
        self._bodies.check(length)
        self._left = length
        return Body(self._bodies, self._encoding if flag == _COMPRESSED else None)
