"""An answer as a gRPC message (v2 gRPC, "ModelInferResponse"), its elements always packed.

Triton's client reads nothing but `raw_output_contents`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from serve.protocol.contract import OutputTensor
from serve.protocol.inference_pb2 import InferParameter, ModelInferResponse
from serve.protocol.packed import pack


def write(
    model: str,
    version: str,
    request_id: str | None,
    parameters: Mapping[str, str],
    outputs: Sequence[OutputTensor],
) -> ModelInferResponse:
    """Give the message that answers a request."""
    return ModelInferResponse(
        model_name=model,
        model_version=version,
        id=request_id or "",
        parameters={name: InferParameter(string_param=value) for name, value in parameters.items()},
        outputs=[
            ModelInferResponse.InferOutputTensor(
                name=output.name, datatype=output.datatype, shape=output.values.shape
            )
            for output in outputs
        ],
        raw_output_contents=[pack(output.values) for output in outputs],
    )
