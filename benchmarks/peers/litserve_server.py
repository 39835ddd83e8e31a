"""LitServe, one API a model, with as many workers and HTTP servers as there are cores.

`fast_queue` (ZeroMQ between the processes) is what LitServe advises for high request rates.
Requests are never batched: a batch must have one shape, and the model is quicker than the wait.
"""

from __future__ import annotations

import signal
from pathlib import Path
from typing import Any

import litserve
from common import Array, Model, from_json, infer_path, options, to_json


class OnnxApi(litserve.LitAPI):
    """One model, as the documentation shows it."""

    def __init__(self, path: Path) -> None:
        super().__init__(api_path=infer_path(path.stem))
        self._path = path

    def setup(self, device: str) -> None:
        """Open the session in the worker."""
        del device
        self._model = Model(self._path)

    def decode_request(self, request) -> dict[str, Array]:
        """The inputs; LitServe hands over the JSON when the request bears no type."""
        return from_json(request["inputs"])

    def predict(self, x: dict[str, Array]) -> dict[str, Array]:
        """Run the model."""
        return self._model.run(x)

    def encode_response(self, output: dict[str, Array]) -> dict[str, Any]:
        """The answer, which LitServe writes as JSON."""
        return to_json(self._model.name, output)


if __name__ == "__main__":
    given = options()
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # ends its processes too
    litserve.LitServer(
        [OnnxApi(path) for path in sorted(given.models.glob("*.onnx"))],
        accelerator="cpu",
        workers_per_device=given.workers,
        fast_queue=True,
    ).run(
        host="127.0.0.1",
        port=given.port,
        num_api_servers=given.workers,
        log_level="warning",
        generate_client_file=False,
    )
