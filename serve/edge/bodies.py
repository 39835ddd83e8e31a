"""Reads the bodies of requests, never more of them than is allowed."""

from __future__ import annotations

from configs.errors import ClientGone, Overloaded, TooLarge
from serve.edge.asgi import Message, Receive
from serve.edge.compression import Inflater


class Bodies:
    """All bodies that are being read: each of at most `each_max`, of at most `all_max` together."""

    def __init__(self, each_max: int, all_max: int) -> None:
        self._each_max = each_max
        self._left = all_max

    async def read(self, receive: Receive, length: int | None, encoding: bytes | None) -> bytes:
        """Give a whole body, inflated if it is encoded; its bytes count before and after.

        Raises `TooLarge`, `Overloaded` when there is no room for it among the others, and
        `ClientGone`.
        """
        limit = self._each_max
        if length is not None and length > limit:
            raise TooLarge(f"the body has {length} bytes, {limit} are allowed")
        message = await receive()
        part = _part(message)
        if encoding is None and not message.get("more_body", False) and len(part) <= limit:
            return part
        return await self._read_on(receive, message, encoding)

    async def _read_on(self, receive: Receive, message: Message, encoding: bytes | None) -> bytes:
        """Read what does not come in one piece, or has to be inflated."""
        inflater = Inflater(encoding, self._each_max) if encoding is not None else None
        body = bytearray()
        size = taken = 0
        try:
            while True:
                part = _part(message)
                size += len(part)
                if size > self._each_max:
                    raise TooLarge(
                        f"the body is larger than the {self._each_max} bytes that are allowed"
                    )
                body += part if inflater is None else inflater.feed(part)
                self._left -= len(body) - taken
                taken = len(body)
                if self._left < 0:
                    raise Overloaded("too many large bodies are being read already; try again")
                if not message.get("more_body", False):
                    break
                message = await receive()
        finally:
            self._left += taken
        if inflater is not None:
            inflater.close()
        return bytes(body)


def _part(message: Message) -> bytes:
    if message["type"] == "http.disconnect":
        raise ClientGone("the client left before its request was complete")
    part: bytes = message.get("body", b"")
    return part
