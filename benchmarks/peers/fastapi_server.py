"""FastAPI, orjson and onnxruntime: what a careful engineer writes in an afternoon.

One uvicorn worker a core on uvloop and httptools, one fixed route a model, no pydantic body, one
thread a session, no access log, and the model run on the event loop, which is right for a run of
microseconds.
"""

from __future__ import annotations

import uvicorn
from common import HEADER_LENGTH, Model, infer_path, models, options
from fastapi import FastAPI, Request, Response
from v2_bytes import answer


def application() -> FastAPI:
    """The application of one process."""
    app = FastAPI(openapi_url=None)

    @app.get("/v2/health/ready")
    async def ready() -> Response:
        return Response()

    for model in models(options().models):
        add_route(app, model)
    return app


def add_route(app: FastAPI, model: Model) -> None:
    """Answer for one model."""

    @app.post(infer_path(model.name))
    async def infer(request: Request) -> Response:
        told, length = answer(model, await request.body(), request.headers.get(HEADER_LENGTH))
        if not length:
            return Response(told, media_type="application/json")
        headers = {HEADER_LENGTH: length}
        return Response(told, media_type="application/octet-stream", headers=headers)


if __name__ == "__main__":
    given = options()
    uvicorn.run(
        "fastapi_server:application",
        factory=True,
        host="127.0.0.1",
        port=given.port,
        workers=given.workers,
        loop="uvloop",
        http="httptools",
        access_log=False,
        log_level="warning",
    )
