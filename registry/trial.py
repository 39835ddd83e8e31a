"""One run of a model on zeros, which shows what it really takes and gives.

This loads a file that nobody has vouched for: it runs in the checking process and nowhere else.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from configs.errors import Refused
from registry.inference import onnxruntime
from registry.signature import DTYPES, Datatype, Signature, TensorSpec

_TYPES = {
    "bool": Datatype.BOOL,
    "uint8": Datatype.UINT8,
    "uint16": Datatype.UINT16,
    "uint32": Datatype.UINT32,
    "uint64": Datatype.UINT64,
    "int8": Datatype.INT8,
    "int16": Datatype.INT16,
    "int32": Datatype.INT32,
    "int64": Datatype.INT64,
    "float16": Datatype.FP16,
    "float": Datatype.FP32,
    "double": Datatype.FP64,
    "string": Datatype.BYTES,
}
_TENSOR = re.compile(r"tensor\((\w+)\)")
_NAME_MAX = 256


class NodeArg(Protocol):
    """**Protocol:** what onnxruntime says about one input or output."""

    name: str
    type: str
    shape: list[int | str | None]


def try_model(data: bytes) -> Signature:
    """Load a model, run it on one row of zeros, and return what it takes and gives.

    Raises `Refused` if the model cannot be served, and whatever the runtime raises.
    """
    session = onnxruntime.InferenceSession(data, _options(), providers=["CPUExecutionProvider"])
    inputs = tuple(_spec(arg, "input") for arg in session.get_inputs())
    outputs = tuple(_spec(arg, "output") for arg in session.get_outputs())
    _refuse_false_shapes(outputs, session.run(None, _zeros(inputs, rows=1)))
    signature = Signature(inputs=inputs, outputs=outputs)
    if signature.batched:
        _refuse_mixed_rows(outputs, session.run(None, _zeros(inputs, rows=2)))
    return signature


def _options() -> onnxruntime.SessionOptions:
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    options.inter_op_num_threads = 1
    options.enable_cpu_mem_arena = False
    options.log_severity_level = 4
    return options


def _spec(arg: NodeArg, kind: str) -> TensorSpec:
    """Name, element type and declared shape; a dimension that is not a number is -1."""
    if not arg.name.isprintable() or not 0 < len(arg.name) <= _NAME_MAX:
        raise Refused(
            f"{kind} {arg.name[:40]!r} has a name that cannot be printed or is too long: "
            f"rename it, at most {_NAME_MAX} printable characters"
        )
    found = _TENSOR.fullmatch(arg.type)
    if found is None:
        advice = ": export with zipmap=False" if arg.type.startswith("seq(map(") else ""
        raise Refused(f"{kind} {arg.name!r} is a {arg.type}, not a tensor{advice}")
    if found[1] not in _TYPES:
        raise Refused(f"{kind} {arg.name!r} is of type {found[1]}, which no client can send or get")
    shape = tuple(size if isinstance(size, int) and size >= 0 else -1 for size in arg.shape)
    return TensorSpec(name=arg.name, datatype=_TYPES[found[1]], shape=shape)


def _zeros(inputs: Sequence[TensorSpec], rows: int) -> dict[str, NDArray[Any]]:
    """Zeros and empty strings; the first dimension has the rows, others that vary have 1."""
    feeds: dict[str, NDArray[Any]] = {}
    for spec in inputs:
        shape = [1 if size == -1 else size for size in spec.shape]
        if spec.shape[:1] == (-1,):
            shape[0] = rows
        empty = "" if spec.datatype is Datatype.BYTES else 0
        feeds[spec.name] = np.full(shape, empty, dtype=DTYPES[spec.datatype])
    return feeds


def _refuse_false_shapes(outputs: Sequence[TensorSpec], answers: Sequence[NDArray[Any]]) -> None:
    """What the file declares about its outputs must be what comes out."""
    for spec, answer in zip(outputs, answers, strict=True):
        fits = len(spec.shape) == answer.ndim and all(
            size in (-1, real) for size, real in zip(spec.shape, answer.shape, strict=True)
        )
        if not fits:
            raise Refused(
                f"output {spec.name!r} is declared as {list(spec.shape)} but one row gives "
                f"{list(answer.shape)}: correct the shape that the file declares"
            )


def _refuse_mixed_rows(outputs: Sequence[TensorSpec], answers: Sequence[NDArray[Any]]) -> None:
    """Rows of several requests run as one batch, so two rows in must be two rows out."""
    for spec, answer in zip(outputs, answers, strict=True):
        if len(answer) != 2:
            raise Refused(
                f"output {spec.name!r} has {len(answer)} rows for 2 rows of input: "
                "a model whose dimensions vary must answer row by row"
            )
