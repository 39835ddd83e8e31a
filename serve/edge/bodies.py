"""Reads the body of a request, never more of it than is allowed."""

from __future__ import annotations

from configs.errors import BadInput, TooLarge
from serve.edge.asgi import Message, Receive
from serve.edge.compression import Inflater


async def read(receive: Receive, length: int | None, encoding: bytes | None, limit: int) -> bytes:
    """Give the whole body, inflated if it is encoded; at most `limit` bytes, before and after."""
    if length is not None and length > limit:
        raise TooLarge(f"the body has {length} bytes, {limit} are allowed")
    inflater = Inflater(encoding, limit) if encoding is not None else None
    message = await receive()
    body: bytes | bytearray = _part(message)
    if message.get("more_body", False) or inflater is not None or len(body) > limit:
        body = bytearray()
        size = 0
        while True:
            part = _part(message)
            size += len(part)
            if size > limit:
                raise TooLarge(f"the body is larger than the {limit} bytes that are allowed")
            body += part if inflater is None else inflater.feed(part)
            if not message.get("more_body", False):
                break
            message = await receive()
        if inflater is not None:
            inflater.close()
    return bytes(body)


def _part(message: Message) -> bytes:
    if message["type"] == "http.disconnect":
        raise BadInput("the client left before its request was complete")
    part: bytes = message.get("body", b"")
    return part
