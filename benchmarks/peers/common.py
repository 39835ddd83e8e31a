"""What several of the servers share: their options, a session on one thread, the v2 protocol."""

from __future__ import annotations

import argparse
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime as ort

HEADER_LENGTH = "Inference-Header-Content-Length"
NUMPY = {"FP32": np.float32, "FP64": np.float64, "INT64": np.int64}
DATATYPE = {np.dtype(np.float32): "FP32", np.dtype(np.int64): "INT64"}

Array = np.ndarray[Any, Any]


def options() -> argparse.Namespace:
    """What every server is told: which models, where to listen, and for how many cores."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--models", type=Path, required=True, help="the folder of NAME.onnx")
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--grpc-port", type=int, required=True)
    parser.add_argument("--spare-port", type=int, required=True, help="for a server with a third")
    parser.add_argument("--workers", type=int, default=1, help="the cores that it may use")
    return parser.parse_args()


def infer_path(model: str) -> str:
    """Where a model is asked."""
    return f"/v2/models/{model}/infer"


class Model:
    """A session on one thread, with the names of its outputs."""

    def __init__(self, path: Path) -> None:
        threads = ort.SessionOptions()
        threads.intra_op_num_threads = 1
        threads.inter_op_num_threads = 1
        self.name = path.stem
        self.session = ort.InferenceSession(str(path), threads, providers=["CPUExecutionProvider"])
        self.outputs = [output.name for output in self.session.get_outputs()]

    def run(self, inputs: Mapping[str, Array]) -> dict[str, Array]:
        """The outputs by name."""
        return dict(zip(self.outputs, self.session.run(self.outputs, inputs), strict=True))


def models(folder: Path) -> list[Model]:
    """A session for every file of a folder."""
    return [Model(path) for path in sorted(folder.glob("*.onnx"))]


def from_json(tensors: Sequence[Mapping[str, Any]]) -> dict[str, Array]:
    """The inputs of a v2 request whose numbers are written out."""
    return {
        tensor["name"]: np.array(tensor["data"], NUMPY[tensor["datatype"]]).reshape(tensor["shape"])
        for tensor in tensors
    }


def to_json(name: str, arrays: Mapping[str, Array]) -> dict[str, Any]:
    """A v2 answer with its numbers written out."""
    outputs = [
        {
            "name": output,
            "datatype": DATATYPE[array.dtype],
            "shape": array.shape,
            "data": array.ravel().tolist(),
        }
        for output, array in arrays.items()
    ]
    return {"model_name": name, "model_version": "1", "outputs": outputs}


def from_binary(tensors: Sequence[Mapping[str, Any]], packed: memoryview) -> dict[str, Array]:
    """The inputs of a v2 request whose numbers follow its JSON, packed."""
    inputs, start = {}, 0
    for tensor in tensors:
        end = start + tensor["parameters"]["binary_data_size"]
        numbers = np.frombuffer(packed[start:end], NUMPY[tensor["datatype"]])
        inputs[tensor["name"]] = numbers.reshape(tensor["shape"])
        start = end
    return inputs


def to_binary(name: str, arrays: Mapping[str, Array]) -> tuple[dict[str, Any], list[bytes]]:
    """A v2 answer whose numbers follow its JSON, packed."""
    outputs = [
        {
            "name": output,
            "datatype": DATATYPE[array.dtype],
            "shape": array.shape,
            "parameters": {"binary_data_size": array.nbytes},
        }
        for output, array in arrays.items()
    ]
    answer = {"model_name": name, "model_version": "1", "outputs": outputs}
    return answer, [array.tobytes() for array in arrays.values()]
