"""KServe's Python model server with a custom model, which is how ONNX is served in it.

Latency log and access log off, uvloop, one uvicorn worker a core. It listens on all interfaces: it
has no setting for that.
"""

from __future__ import annotations

import logging
import sys
from pathlib import Path

import common
from common import options

given = options()
sys.argv = sys.argv[:1]  # KServe reads the command line when it is imported
from kserve import InferOutput, InferRequest, InferResponse, Model, ModelServer  # noqa: E402
from kserve.utils.utils import generate_uuid  # noqa: E402


class OnnxModel(Model):
    """ONNX Runtime as a custom model, as the documentation shows it."""

    def __init__(self, path: Path) -> None:
        super().__init__(path.stem)
        self._path = path
        self.load()

    def load(self) -> bool:
        """Open the session."""
        self._model = common.Model(self._path)
        self.ready = True
        return self.ready

    def predict(
        self, payload: InferRequest, headers: dict[str, str] | None = None
    ) -> InferResponse:
        """Decode, run, encode; KServe writes numbers packed where the request asks for that."""
        del headers
        answers = self._model.run({one.name: one.as_numpy() for one in payload.inputs})
        outputs = []
        for name, array in answers.items():
            datatype = common.DATATYPE[array.dtype]
            output = InferOutput(name, list(array.shape), datatype)
            output.set_data_from_numpy(
                array, binary_data=payload.from_grpc or wants_binary(payload)
            )
            outputs.append(output)
        return InferResponse(payload.id or generate_uuid(), self.name, outputs)


def wants_binary(payload: InferRequest) -> bool:
    """Whether the outputs of a request shall come packed."""
    return bool((payload.parameters or {}).get("binary_data_output"))


if __name__ == "__main__":
    server = ModelServer(
        http_port=given.port,
        grpc_port=given.grpc_port,
        workers=given.workers,
        enable_latency_logging=False,
        event_loop="uvloop",
    )
    logging.getLogger("uvicorn.access").disabled = True
    server.start([OnnxModel(path) for path in sorted(given.models.glob("*.onnx"))])
