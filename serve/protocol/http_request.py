"""The body of an inference request over HTTP: JSON, or JSON and then packed tensors.

v2 REST, "Inference Request JSON Object", and the binary tensor data extension. Everything here is a
pure function of bytes; `BadInput` or `BadTensor` says what is wrong with them.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import orjson

from configs.errors import BadInput, BadTensor
from monitors.contributions.wish import Wish
from serve.protocol import parameters
from serve.protocol.asked import Asked, Given, GivenTensor, WantedOutput
from serve.protocol.tensors import check_name, shape_of

_KNOWN = frozenset({"id", "model_name", "parameters", "inputs", "outputs"})
"""KServe's client repeats the model's name; the one in the path counts."""
_KNOWN_ABOUT_MODELS = frozenset({"ready", "parameters"})
_KNOWN_IN_INPUT = frozenset({"name", "shape", "datatype", "parameters", "data"})
_KNOWN_IN_OUTPUT = frozenset({"name", "parameters"})
_NO_BYTES = memoryview(b"")


def read(body: bytes | memoryview, json_bytes: int | None = None) -> Asked:
    """Give the request in a body, of which the first `json_bytes` are JSON, None for all.

    With 0 the body is the one input of the model, packed (a "raw binary request").
    """
    if json_bytes is None:
        return _asked(_object(body), _NO_BYTES)
    if json_bytes == 0:
        return Asked((GivenTensor("", None, (), memoryview(body)),), binary=True, raw=True)
    request, packed = _parts(body, json_bytes)
    return _asked(request, packed)


def read_to_explain(body: bytes | memoryview, json_bytes: int | None) -> tuple[Asked, Wish]:
    """Give the rows in a body that are to be explained, and how; bodies are those of `read`."""
    if json_bytes == 0:
        return read(body, json_bytes), Wish()
    request, packed = (_object(body), _NO_BYTES) if json_bytes is None else _parts(body, json_bytes)
    return _asked(request, packed), parameters.of_explanation(request.get("parameters"))


def read_about_models(body: bytes | memoryview) -> Mapping[str, Any]:
    """Give what a body asks of the model repository; it may be empty (v2 repository extension)."""
    asked = _object(body, _KNOWN_ABOUT_MODELS) if body else {}
    if type(asked.get("ready", False)) is not bool:
        raise BadInput("'ready' must be true or false")
    if not isinstance(asked.get("parameters", {}), dict):
        raise BadInput("'parameters' must be an object")
    return asked


def _parts(body: bytes | memoryview, json_bytes: int) -> tuple[dict[str, Any], memoryview]:
    """Give the JSON of a body, and the packed bytes behind it."""
    if json_bytes > len(body):
        raise BadInput(f"the body has {len(body)} bytes, fewer than the {json_bytes} of its JSON")
    whole = memoryview(body)
    return _object(whole[:json_bytes]), whole[json_bytes:]


def _asked(request: Mapping[str, Any], packed: memoryview) -> Asked:
    wishes = parameters.of_request(request.get("parameters"))
    return Asked(
        _inputs(_tensors(request, "inputs", _KNOWN_IN_INPUT), packed),
        _outputs(request),
        _id(request),
        wishes.timeout_s,
        wishes.binary,
    )


def _object(body: bytes | memoryview, known: frozenset[str] = _KNOWN) -> dict[str, Any]:
    try:
        request = orjson.loads(body)
    except orjson.JSONDecodeError as error:
        raise BadInput(f"the body is not JSON: {error}") from None
    if not isinstance(request, dict):
        raise BadInput("the body must be a JSON object")
    if not request.keys() <= known:
        raise BadInput(f"unknown key {min(request.keys() - known)[:64]!r} in the request")
    return request


def _id(request: Mapping[str, Any]) -> str | None:
    given = request.get("id")
    if given is not None and not isinstance(given, str):
        raise BadInput("'id' must be a string")
    return given


def _tensors(request: Mapping[str, Any], key: str, known: frozenset[str]) -> list[dict[str, Any]]:
    tensors = request.get(key)
    if not isinstance(tensors, list) or not tensors:
        raise BadInput(f"'{key}' must be a list with at least one tensor")
    for tensor in tensors:
        if not isinstance(tensor, dict) or not isinstance(tensor.get("name"), str):
            raise BadInput(f"every tensor in '{key}' must be an object with a 'name'")
        check_name(tensor["name"], key[:-1])
        if not tensor.keys() <= known:
            name, key_ = tensor["name"], min(tensor.keys() - known)
            raise BadTensor(f"{key[:-1]} {name[:64]!r} has an unknown key {key_[:64]!r}")
    return tensors


def _inputs(tensors: Sequence[Mapping[str, Any]], packed: memoryview) -> list[GivenTensor]:
    inputs = []
    offset = 0
    for tensor in tensors:
        name = tensor["name"]
        size = parameters.packed_size(tensor) if "parameters" in tensor else None
        data: Given | None = tensor.get("data")
        if size is not None:
            if data is not None:
                raise BadTensor(f"input {name!r} has both 'data' and 'binary_data_size'")
            data, offset = packed[offset : offset + size], offset + size
            if offset > len(packed):
                raise BadTensor(f"input {name!r} reaches beyond the end of the body")
        elif not isinstance(data, list):
            raise BadTensor(f"input {name!r} needs 'data', a list")
        inputs.append(
            GivenTensor(name, tensor.get("datatype"), shape_of(tensor.get("shape"), name), data)
        )
    if offset != len(packed):
        raise BadInput(f"{len(packed) - offset} bytes of the body belong to no input")
    return inputs


def _outputs(request: Mapping[str, Any]) -> list[WantedOutput]:
    if not request.get("outputs"):
        return []
    return [
        parameters.of_output(output["name"], output.get("parameters"))
        for output in _tensors(request, "outputs", _KNOWN_IN_OUTPUT)
    ]
