"""The body of an answer over HTTP: JSON, and packed tensors behind it where they are wanted.

v2 REST, "Inference Response JSON Object", and the binary tensor data extension.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import orjson

from serve.protocol.contract import OutputTensor
from serve.protocol.packed import pack


def write(
    model: str,
    version: str,
    request_id: str | None,
    parameters: Mapping[str, str],
    outputs: Sequence[OutputTensor],
) -> tuple[bytes, int | None]:
    """Give the body, and how many of its bytes are JSON, None for all.

    Numbers that are not finite become null in JSON.
    """
    blobs: list[bytes] = []
    body: dict[str, object] = {"model_name": model, "model_version": version}
    if request_id is not None:
        body["id"] = request_id
    body["parameters"] = parameters
    body["outputs"] = [_output(output, blobs) for output in outputs]
    head = orjson.dumps(body, option=orjson.OPT_SERIALIZE_NUMPY)
    if not blobs:
        return head, None
    return b"".join((head, *blobs)), len(head)


def _output(output: OutputTensor, blobs: list[bytes]) -> dict[str, object]:
    values = output.values
    said: dict[str, object] = {
        "name": output.name,
        "datatype": output.datatype,
        "shape": values.shape,
    }
    if output.binary:
        blobs.append(pack(values))
        said["parameters"] = {"binary_data_size": len(blobs[-1])}
    elif values.dtype.kind == "O":
        said["data"] = values.ravel().tolist()
    else:
        said["data"] = np.ascontiguousarray(values).reshape(-1)
    return said
