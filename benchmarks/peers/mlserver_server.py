"""MLServer, with the smallest custom runtime: it has none of its own for ONNX.

`debug` and the access log off, no compression, and no parallel workers on one core: MLServer's own
documentation says that passing requests between processes costs light models more than it gives.
With more cores it gets a worker process for each. Adaptive batching stays off, as it is by default.
"""

from __future__ import annotations

import asyncio
import tempfile
from pathlib import Path

from common import Model, options
from mlserver import MLModel, MLServer, ModelSettings, Settings
from mlserver.codecs import NumpyCodec
from mlserver.settings import ModelParameters
from mlserver.types import InferenceRequest, InferenceResponse


class OnnxRuntime(MLModel):
    """ONNX Runtime as a custom runtime, as the documentation shows it."""

    async def load(self) -> bool:
        """Open the session."""
        self._model = Model(Path(self.settings.parameters.uri))
        return True

    async def predict(self, payload: InferenceRequest) -> InferenceResponse:
        """Decode, run, encode."""
        inputs = {one.name: NumpyCodec.decode_input(one) for one in payload.inputs}
        answers = self._model.run(inputs)
        return InferenceResponse(
            model_name=self.name,
            outputs=[NumpyCodec.encode_output(name, array) for name, array in answers.items()],
        )


async def main() -> None:
    """Serve until told to stop."""
    given = options()
    settings = Settings(
        debug=False,
        host="127.0.0.1",
        http_port=given.port,
        grpc_port=given.grpc_port,
        metrics_port=given.spare_port,
        metrics_dir=tempfile.gettempdir(),
        parallel_workers=given.workers if given.workers > 1 else 0,
        gzip_enabled=False,
    )
    served = [
        ModelSettings(
            name=path.stem,
            implementation="mlserver_server.OnnxRuntime",
            parameters=ModelParameters(uri=str(path)),
        )
        for path in sorted(given.models.glob("*.onnx"))
    ]
    await MLServer(settings).start(served)


if __name__ == "__main__":
    asyncio.run(main())
