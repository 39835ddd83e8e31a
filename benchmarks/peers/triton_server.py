"""Triton's front end over its Python backend, by pytriton: not Triton's own ONNX backend.

One instance of each model a core, Triton's dynamic batching on, as pytriton has it by default.
"""

from __future__ import annotations

import signal
from pathlib import Path
from typing import Any

import numpy as np
from common import Array, Model, options
from pytriton.decorators import batch
from pytriton.model_config import DynamicBatcher, ModelConfig, Tensor
from pytriton.triton import Triton, TritonConfig

TYPES = {"tensor(float)": np.float32, "tensor(int64)": np.int64}


def tensors(described: Any) -> list[Tensor]:
    """What a session says of its inputs or outputs, without the batch."""
    return [
        Tensor(
            name=one.name,
            dtype=TYPES[one.type],
            shape=tuple(size if isinstance(size, int) else -1 for size in one.shape[1:]) or (1,),
        )
        for one in described
    ]


def bind(triton: Triton, path: Path, workers: int) -> None:
    """Serve one model."""
    loaded = [Model(path) for _ in range(workers)]
    session = loaded[0].session

    def instance(model: Model) -> Any:
        @batch
        def infer(**inputs: Array) -> dict[str, Array]:
            answers = model.run(inputs)
            return {  # Triton's batches are of tensors, a number a row being a column
                name: array if array.ndim > 1 else array[:, None] for name, array in answers.items()
            }

        return infer

    triton.bind(
        model_name=path.stem,
        infer_func=[instance(model) for model in loaded],
        inputs=tensors(session.get_inputs()),
        outputs=tensors(session.get_outputs()),
        config=ModelConfig(max_batch_size=256, batcher=DynamicBatcher()),
        strict=False,
    )


def main() -> None:
    """Serve until told to stop."""
    given = options()
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # stops tritonserver too
    config = TritonConfig(
        http_address="127.0.0.1",
        http_port=given.port,
        grpc_address="127.0.0.1",
        grpc_port=given.grpc_port,
        allow_metrics=False,
        log_verbose=0,
    )
    with Triton(config=config) as triton:
        for path in sorted(given.models.glob("*.onnx")):
            bind(triton, path, given.workers)
        triton.serve()


if __name__ == "__main__":
    main()
