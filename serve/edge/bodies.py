"""The bodies of requests, never more of them than is allowed."""

from __future__ import annotations

import numpy as np

from configs.errors import ClientGone, Overloaded, TooLarge
from serve.edge.asgi import Receive
from serve.edge.compression import Inflater


class Bodies:
    """All bodies that are being read: each of at most `each_max`, of at most `all_max` together."""

    def __init__(self, each_max: int, all_max: int) -> None:
        self.each_max = each_max
        self.left = all_max

    def check(self, length: int | None) -> None:
        """Refuse a body that announces a `length` above the limit: `TooLarge`."""
        if length is not None and length > self.each_max:
            raise TooLarge(f"the body has {length} bytes, {self.each_max} are allowed")

    async def read(
        self, receive: Receive, length: int | None, encoding: bytes | None
    ) -> bytes | memoryview:
        """Give a whole body of an ASGI request; `ClientGone` if it is cut off."""
        self.check(length)
        body = Body(self, encoding)
        try:
            while True:
                message = await receive()
                if message["type"] == "http.disconnect":
                    raise ClientGone("the client left before its request was complete")
                body.take(message.get("body", b""))
                if not message.get("more_body", False):
                    return body.whole()
        finally:
            body.release()


class Body:
    """One body that arrives in parts, inflated if it is encoded.

    Its bytes count before and after. `TooLarge`, or `Overloaded` when there is no room for it
    among the others; `release` makes its room free.
    """

    __slots__ = ("_all", "_buffer", "_first", "_inflater", "_place", "_size", "_taken")

    def __init__(self, bodies: Bodies, encoding: bytes | None) -> None:
        self._all = bodies
        self._inflater = Inflater(encoding, bodies.each_max) if encoding is not None else None
        self._place: memoryview | None = None
        self._first: bytes | memoryview | None = None
        self._buffer: bytearray | None = None
        self._size = self._taken = 0

    def take(self, part: bytes | memoryview) -> None:
        """Take in a part."""
        each_max = self._all.each_max
        self._size += len(part)
        if self._size > each_max:
            raise TooLarge(f"the body is larger than the {each_max} bytes that are allowed")
        if self._inflater is not None:
            part = self._inflater.feed(part)
        self.filled(len(part))
        if self._buffer is not None:
            self._buffer += part
        elif self._first is None:
            self._first = part
        else:
            self._buffer = bytearray(self._first)
            self._buffer += part

    def rest(self, length: int) -> memoryview:
        """Give where what is missing of so many bytes goes; `filled` is told what has come.

        The system gives memory page by page, as it is written to: a length alone costs nothing.
        """
        place = self._place = np.empty(length, np.uint8).data
        come = self._first if self._buffer is None else self._buffer
        if come is not None:
            place[: self._taken] = come
            self._first = self._buffer = None
        return place[self._taken :]

    def filled(self, count: int) -> None:
        """Take in that so many more bytes have their place."""
        self._taken += count
        bodies = self._all
        bodies.left -= count
        if bodies.left < 0:
            raise Overloaded("too many large bodies are being read already; try again")

    def whole(self) -> bytes | memoryview:
        """Give all that was taken in."""
        if self._place is not None:
            return self._place.toreadonly()
        if self._inflater is not None:
            self._inflater.close()
        if self._buffer is not None:
            return bytes(self._buffer)
        return self._first or b""

    def hand_over(self) -> int:
        """Give the bytes that count here, which somebody else takes back from now on."""
        taken, self._taken = self._taken, 0
        return taken

    def release(self) -> None:
        """Let others have the room."""
        self._all.left += self._taken
        self._taken = 0
