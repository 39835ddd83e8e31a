"""The floor: one ASGI function under uvicorn, with the model in it and nothing else.

uvloop and httptools, orjson, one fixed route a model, no access log, one process a core. The model
runs on the event loop, which is right for a run of microseconds and no worse for one of
milliseconds where the process has one core.
"""

from __future__ import annotations

from typing import Any

import uvicorn
from common import HEADER_LENGTH, infer_path, models, options
from v2_bytes import answer

BINARY = HEADER_LENGTH.lower().encode()


def application() -> Any:
    """The ASGI function of one process."""
    routes = {infer_path(model.name): model for model in models(options().models)}

    async def app(scope: Any, receive: Any, send: Any) -> None:
        message = await receive()
        body = message["body"]
        if message["more_body"]:
            pieces = [body]
            while message["more_body"]:
                message = await receive()
                pieces.append(message["body"])
            body = b"".join(pieces)
        headers = []
        if scope["method"] == "GET":
            told = b""
        else:
            length = next((value for name, value in scope["headers"] if name == BINARY), None)
            told, length = answer(routes[scope["path"]], body, length)
            kind = b"application/octet-stream" if length else b"application/json"
            headers = [(b"content-type", kind)]
            if length:
                headers.append((BINARY, length.encode()))
        headers.append((b"content-length", str(len(told)).encode()))
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        await send({"type": "http.response.body", "body": told})

    return app


if __name__ == "__main__":
    given = options()
    uvicorn.run(
        "floor_server:application",
        factory=True,
        host="127.0.0.1",
        port=given.port,
        workers=given.workers,
        loop="uvloop",
        http="httptools",
        interface="asgi3",
        lifespan="off",
        access_log=False,
        log_level="warning",
    )
