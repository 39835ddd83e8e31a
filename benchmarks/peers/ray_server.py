"""Ray Serve: one deployment a model, a replica a core, the request's body read by orjson.

Run twice: with Ray's own defaults, and with HAProxy in front (`RAY_SERVE_ENABLE_HA_PROXY`, which
the harness sets; Ray's own package has the binary). Access log off.
"""

from __future__ import annotations

import signal
import threading
from pathlib import Path

import ray
from common import HEADER_LENGTH, Model, infer_path, options
from ray import serve
from ray.serve.config import HTTPOptions
from ray.serve.schema import LoggingConfig
from starlette.requests import Request
from starlette.responses import Response
from v2_bytes import answer


@serve.deployment
class Onnx:
    """One model."""

    def __init__(self, path: str) -> None:
        self._model = Model(Path(path))

    async def __call__(self, request: Request) -> Response:
        """Answer one request."""
        told, length = answer(self._model, await request.body(), request.headers.get(HEADER_LENGTH))
        if not length:
            return Response(told, media_type="application/json")
        headers = {HEADER_LENGTH: length}
        return Response(told, media_type="application/octet-stream", headers=headers)


def main() -> None:
    """Serve until told to stop."""
    given = options()
    stop = threading.Event()
    # As many actors as are needed fit, whatever the cores: Ray counts a core for each.
    ray.init(num_cpus=32, include_dashboard=False, log_to_driver=False)
    signal.signal(signal.SIGTERM, lambda *_: stop.set())  # ray.init sets a handler of its own
    serve.start(
        http_options=HTTPOptions(host="127.0.0.1", port=given.port),
        logging_config=LoggingConfig(enable_access_log=False),
    )
    for path in sorted(given.models.glob("*.onnx")):
        app = Onnx.options(
            num_replicas=given.workers,
            max_ongoing_requests=100,
            logging_config=LoggingConfig(enable_access_log=False),
        ).bind(str(path))
        serve.run(app, name=path.stem, route_prefix=infer_path(path.stem))
    stop.wait()
    serve.shutdown()
    ray.shutdown()


if __name__ == "__main__":
    main()
