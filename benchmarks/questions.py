"""What the servers are asked: six workloads over three models, with the right answers."""

from __future__ import annotations

import struct
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
import orjson
from numpy.typing import NDArray

from benchmarks import image_model, model
from registry.inference import onnxruntime as ort
from serve.protocol.inference_pb2 import ModelInferRequest

Floats = NDArray[np.float32]
Protocol = Literal["json", "binary", "grpc"]


@dataclass(frozen=True, slots=True)
class Questions:
    """One workload: the bodies of its requests in a file, and what each is to be answered with.

    Bodies of JSON lie one a line. Packed ones have one length, of which the first `header_length`
    bytes are JSON. A gRPC workload has one body, framed as on the wire. `rights[i]` is the tensor
    `output` of the answer to body i.
    """

    name: str
    title: str
    model: str
    protocol: Protocol
    connections: int
    bodies: Path
    output: str
    rights: tuple[Floats, ...]
    length: int = 0
    header_length: int = 0

    @property
    def each(self) -> list[bytes]:
        """The bodies, in the order of the right answers."""
        whole = self.bodies.read_bytes()
        if self.protocol == "json":
            return whole.splitlines()
        return [whole[at : at + self.length] for at in range(0, len(whole), self.length)]


@dataclass(frozen=True, slots=True)
class Source:
    """Rows for a model, and its input and output."""

    model: str
    path: Path
    input: str
    output: str
    rows: Floats

    def groups(self, size: int, count: int) -> list[Floats]:
        """The first rows in groups of a size, the last of them from the beginning again."""
        picked = np.arange(size * count) % len(self.rows)
        return [self.rows[picked[at : at + size]] for at in range(0, size * count, size)]

    def rights(self, groups: Sequence[Floats]) -> tuple[Floats, ...]:
        """What onnxruntime itself gives."""
        session = ort.InferenceSession(str(self.path), providers=["CPUExecutionProvider"])
        answers = [session.run([self.output], {self.input: group})[0] for group in groups]
        return tuple(np.asarray(answer, np.float32) for answer in answers)


def build(folder: Path, tabular: Source, slow: Source, image: Source) -> tuple[Questions, ...]:
    """All workloads, their bodies written into a folder."""
    return (
        _json(folder, "row-json", "1 x 30, JSON", tabular, tabular.groups(1, 256), 32),
        _json(folder, "block-json", "64 x 30, JSON", tabular, tabular.groups(64, 32), 32),
        _binary(folder, "block-binary", "64 x 30, binary", tabular, tabular.groups(64, 32), 32),
        _binary(folder, "image-binary", "image, binary", image, image.groups(1, 8), 8),
        _json(folder, "slow-json", "1 x 30, 5 ms model, JSON", slow, slow.groups(1, 256), 8),
        _grpc(folder, "row-grpc", "1 x 30, gRPC", tabular, tabular.groups(1, 1), 32),
    )


NAMES = ("row-json", "block-json", "block-binary", "image-binary", "slow-json", "row-grpc")


def images(path: Path) -> Source:
    """Write the convolutional model; gives it with its images."""
    path.write_bytes(image_model.build())
    pictures = image_model.images(8)
    return Source("image", path, image_model.INPUT, image_model.OUTPUT, pictures)


def rows(name: str, path: Path, workload: model.Workload) -> Source:
    """The rows of the tabular model, for it or for the slow one with the same answers."""
    asked = [orjson.loads(line)["inputs"][0]["data"] for line in workload.lines]
    return Source(name, path, model.INPUT, model.SCORES, np.array(asked, np.float32))


def _tensor(source: Source, group: Floats, **more: object) -> dict[str, object]:
    return {"name": source.input, "shape": group.shape, "datatype": "FP32", **more}


def _json(
    folder: Path, name: str, title: str, source: Source, groups: list[Floats], connections: int
) -> Questions:
    bodies = []
    for group in groups:
        data = [round(float(value), model.DIGITS) for value in group.ravel()]
        bodies.append(orjson.dumps({"inputs": [_tensor(source, group, data=data)]}))
    path = folder / f"{name}.jsonl"
    path.write_bytes(b"".join(body + b"\n" for body in bodies))
    rights = source.rights(groups)
    return Questions(name, title, source.model, "json", connections, path, source.output, rights)


def _binary(
    folder: Path, name: str, title: str, source: Source, groups: list[Floats], connections: int
) -> Questions:
    """Packed numbers behind the JSON, both ways (the binary tensor data extension)."""
    size = {"binary_data_size": groups[0].nbytes}
    tensor = _tensor(source, groups[0], parameters=size)
    header = orjson.dumps({"inputs": [tensor], "parameters": {"binary_data_output": True}})
    bodies = [header + group.tobytes() for group in groups]
    path = folder / f"{name}.bin"
    path.write_bytes(b"".join(bodies))
    rights = source.rights(groups)
    return Questions(
        name,
        title,
        source.model,
        "binary",
        connections,
        path,
        source.output,
        rights,
        len(bodies[0]),
        len(header),
    )


def _grpc(
    folder: Path, name: str, title: str, source: Source, groups: list[Floats], connections: int
) -> Questions:
    """One message, framed: h2load sends a single file."""
    request = ModelInferRequest(model_name=source.model)
    tensor = request.inputs.add()
    tensor.name, tensor.datatype = source.input, "FP32"
    tensor.shape.extend(groups[0].shape)
    request.raw_input_contents.append(groups[0].tobytes())
    message = request.SerializeToString()
    frame = struct.pack(">BI", 0, len(message)) + message
    path = folder / f"{name}.bin"
    path.write_bytes(frame)
    rights = source.rights(groups)
    return Questions(
        name,
        title,
        source.model,
        "grpc",
        connections,
        path,
        source.output,
        rights,
        len(frame),
    )
