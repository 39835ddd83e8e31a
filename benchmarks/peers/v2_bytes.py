"""v2 requests to answers, from bytes to bytes with orjson, for servers that hand out the body."""

from __future__ import annotations

import orjson
from common import Model, from_binary, from_json, to_binary, to_json


def answer(model: Model, body: bytes, header_length: bytes | str | None) -> tuple[bytes, str]:
    """The body of the answer, and the length of its JSON where packed numbers follow, else ''."""
    if header_length is None:
        inputs = from_json(orjson.loads(body)["inputs"])
        return orjson.dumps(to_json(model.name, model.run(inputs))), ""
    whole = memoryview(body)
    asked = orjson.loads(whole[: int(header_length)])
    inputs = from_binary(asked["inputs"], whole[int(header_length) :])
    told, packed = to_binary(model.name, model.run(inputs))
    header = orjson.dumps(told)
    return b"".join([header, *packed]), str(len(header))
