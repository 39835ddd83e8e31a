"""Open Inference Protocol JSON to tensors and back (v2 REST, "Inference Request JSON Object").

Everything here is a pure function of bytes and of what the version declares.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, cast

import numpy as np
import orjson
from numpy.typing import NDArray

from configs.errors import BadInput, BadTensor
from registry.card import Card
from registry.signature import DTYPES, Datatype, Signature, TensorSpec

Tensors = tuple[NDArray[Any], ...]

_KNOWN = frozenset({"id", "parameters", "inputs", "outputs"})
_KNOWN_IN_TENSOR = frozenset({"name", "shape", "datatype", "parameters", "data"})
_FLOATS = frozenset({Datatype.FP16, Datatype.FP32, Datatype.FP64})
_DATATYPES: dict[str, Datatype] = {datatype.value: datatype for datatype in Datatype}


@dataclass(frozen=True, slots=True)
class InferRequest:
    """A request that fits its version.

    `inputs` are in the model's order. `outputs` are positions of the wanted outputs, None for
    all. `groups` holds the extra inputs, one value for each of `rows`.
    """

    id: str | None
    inputs: Tensors
    rows: int
    outputs: tuple[int, ...] | None = None
    groups: Mapping[str, NDArray[np.object_]] = field(default_factory=dict)


class Codec:
    """Turns requests into a version's tensors, and its answers into JSON."""

    def __init__(self, model: str, version: int, signature: Signature, card: Card) -> None:
        self._model = model
        self._version = str(version)
        self._signature = signature
        self._batched = signature.batched
        self._inputs = {spec.name: place for place, spec in enumerate(signature.inputs)}
        self._outputs = {spec.name: place for place, spec in enumerate(signature.outputs)}
        self._extra = frozenset(card.extra_inputs)
        self._nullable = {feature.input for feature in card.features if feature.nullable}
        self._required = {
            name: [f for f in card.features if f.input == name and not f.nullable]
            for name in self._nullable
        }
        self._heads = [
            {"name": spec.name, "datatype": spec.datatype.value} for spec in signature.outputs
        ]

    def parse(self, body: bytes) -> InferRequest:
        """Give the request in a JSON body; `BadInput` or `BadTensor` says what is wrong with it."""
        request = _object(body)
        found: list[NDArray[Any] | None] = [None] * len(self._signature.inputs)
        groups: dict[str, NDArray[np.object_]] = {}
        for tensor in _tensors(request, "inputs"):
            name = tensor["name"]
            place = self._inputs.get(name)
            if place is not None:
                if found[place] is not None:
                    raise BadTensor(f"input {name!r} is given twice")
                spec = self._signature.inputs[place]
                found[place] = self._read(tensor, spec)
            elif name in self._extra:
                groups[name] = _read_group(tensor)
            else:
                raise BadTensor(f"{self._model} has no input {name!r} (inputs: {self._names()})")
        inputs = self._complete(found)
        rows = self._rows(inputs, groups)
        return InferRequest(_id(request), inputs, rows, self._wanted(request), groups)

    def render(self, request: InferRequest, answer: Tensors) -> bytes:
        """Give the JSON answer to a request; numbers that are not finite become null."""
        places = range(len(answer)) if request.outputs is None else request.outputs
        outputs = [
            {**self._heads[place], "shape": answer[place].shape, "data": _data(answer[place])}
            for place in places
        ]
        body: dict[str, object] = {"model_name": self._model, "model_version": self._version}
        if request.id is not None:
            body["id"] = request.id
        body["outputs"] = outputs
        return orjson.dumps(body, option=orjson.OPT_SERIALIZE_NUMPY)

    def _read(self, tensor: Mapping[str, Any], spec: TensorSpec) -> NDArray[Any]:
        if spec.name not in self._nullable:
            return read_tensor(tensor, spec)
        values = read_tensor(tensor, spec, nullable=True)
        for feature in self._required[spec.name]:
            column = values if feature.column is None else values[..., feature.column]
            if np.isnan(column).any():
                raise BadTensor(f"feature {feature.name!r} is missing (null), which is not allowed")
        return values

    def _names(self) -> str:
        return ", ".join([*self._inputs, *sorted(self._extra)])

    def _complete(self, found: Sequence[NDArray[Any] | None]) -> Tensors:
        missing = [
            spec.name
            for spec, tensor in zip(self._signature.inputs, found, strict=True)
            if tensor is None
        ]
        if missing:
            raise BadTensor(f"missing input {', '.join(map(repr, missing))}")
        return cast("Tensors", tuple(found))

    def _rows(self, inputs: Tensors, groups: Mapping[str, NDArray[np.object_]]) -> int:
        rows = inputs[0].shape[0] if self._batched else 1
        for spec, tensor in zip(self._signature.inputs, inputs, strict=True):
            if self._batched and tensor.shape[0] != rows:
                raise BadTensor(
                    f"input {spec.name!r} has {tensor.shape[0]} rows, the first input has {rows}"
                )
        for name, values in groups.items():
            if len(values) != rows:
                raise BadTensor(f"input {name!r} has {len(values)} values for {rows} rows")
        return rows

    def _wanted(self, request: Mapping[str, Any]) -> tuple[int, ...] | None:
        wanted = request.get("outputs")
        if not wanted:
            return None
        places = []
        for output in _tensors(request, "outputs"):
            place = self._outputs.get(output["name"])
            if place is None:
                names = ", ".join(self._outputs)
                raise BadTensor(
                    f"{self._model} has no output {output['name']!r} (outputs: {names})"
                )
            places.append(place)
        return tuple(places)


def read_tensor(
    tensor: Mapping[str, Any], spec: TensorSpec, *, nullable: bool = False
) -> NDArray[Any]:
    """Give the array of one JSON tensor, as the model's input `spec` wants it.

    Data may be nested or flat, row by row. `BadTensor` names the input and the fault.
    """
    name = spec.name
    unknown = tensor.keys() - _KNOWN_IN_TENSOR
    if unknown:
        raise BadTensor(f"input {name!r} has an unknown key {min(unknown)!r}")
    datatype = _DATATYPES.get(tensor.get("datatype", ""))
    if datatype is not spec.datatype:
        given = tensor.get("datatype")
        raise BadTensor(f"input {name!r} must have datatype {spec.datatype}, not {given}")
    shape = _shape(tensor, name)
    if len(shape) != len(spec.shape) or any(
        want not in (-1, got) for got, want in zip(shape, spec.shape, strict=True)
    ):
        raise BadTensor(f"input {name!r} must have shape {list(spec.shape)}, not {list(shape)}")
    flat = _values(tensor.get("data"), datatype, name, nullable=nullable)
    if flat.size != math.prod(shape):
        raise BadTensor(
            f"input {name!r} has {flat.size} values, its shape {list(shape)} wants "
            f"{math.prod(shape)}"
        )
    return flat.reshape(shape)


def _object(body: bytes) -> dict[str, Any]:
    try:
        request = orjson.loads(body)
    except orjson.JSONDecodeError as error:
        raise BadInput(f"the body is not JSON: {error}") from None
    if not isinstance(request, dict):
        raise BadInput("the body must be a JSON object")
    unknown = request.keys() - _KNOWN
    if unknown:
        raise BadInput(f"unknown key {min(unknown)!r} in the request")
    parameters = request.get("parameters")
    if parameters is not None and not isinstance(parameters, dict):
        raise BadInput("'parameters' must be an object")
    return request


def _id(request: Mapping[str, Any]) -> str | None:
    given = request.get("id")
    if given is not None and not isinstance(given, str):
        raise BadInput("'id' must be a string")
    return given


def _tensors(request: Mapping[str, Any], key: str) -> list[dict[str, Any]]:
    tensors = request.get(key)
    if not isinstance(tensors, list) or not tensors:
        raise BadInput(f"'{key}' must be a list with at least one tensor")
    for tensor in tensors:
        if not isinstance(tensor, dict) or not isinstance(tensor.get("name"), str):
            raise BadInput(f"every tensor in '{key}' must be an object with a 'name'")
    return tensors


def _shape(tensor: Mapping[str, Any], name: str) -> tuple[int, ...]:
    shape = tensor.get("shape")
    if not isinstance(shape, list) or not all(
        type(size) is int and 0 <= size < 2**31 for size in shape
    ):
        raise BadTensor(f"input {name!r} needs a 'shape' of whole numbers from 0 to 2147483647")
    return tuple(shape)


def _values(data: object, datatype: Datatype, name: str, *, nullable: bool) -> NDArray[Any]:
    if not isinstance(data, list):
        raise BadTensor(f"input {name!r} needs 'data', a list")
    if datatype is Datatype.BYTES:
        return _strings(data, name)
    if datatype is Datatype.FP16:
        raise BadTensor(f"input {name!r}: FP16 cannot be sent as JSON")
    try:
        raw = np.array(data)
    except (ValueError, OverflowError):
        raise BadTensor(f"input {name!r}: data is not a regular list of numbers") from None
    if datatype in _FLOATS:
        return _floats(raw, datatype, name, nullable=nullable)
    return _integers(raw, datatype, name)


def _floats(raw: NDArray[Any], datatype: Datatype, name: str, *, nullable: bool) -> NDArray[Any]:
    if raw.dtype.kind not in "fiu" and raw.size:
        raw = _with_nulls(raw, name)
    with np.errstate(over="ignore"):
        values = raw.astype(DTYPES[datatype])
    if not np.isfinite(values).all():
        if np.isinf(values).any():
            raise BadTensor(f"input {name!r} has a number that does not fit {datatype}")
        if not nullable:
            raise BadTensor(f"input {name!r} has a missing value (null), which is not allowed")
    return values


def _with_nulls(raw: NDArray[Any], name: str) -> NDArray[np.float64]:
    if raw.dtype.kind == "O" and all(
        value is None or type(value) in (int, float) for value in raw.flat
    ):
        try:
            return raw.astype(np.float64)
        except OverflowError:
            raise BadTensor(f"input {name!r} has a number that is too large") from None
    raise BadTensor(f"input {name!r}: data must be numbers")


def _integers(raw: NDArray[Any], datatype: Datatype, name: str) -> NDArray[Any]:
    dtype = DTYPES[datatype]
    if datatype is Datatype.BOOL:
        if raw.dtype.kind != "b" and raw.size:
            raise BadTensor(f"input {name!r}: data must be true or false")
        return raw.astype(dtype)
    if raw.dtype.kind not in "iu" and raw.size:
        raise BadTensor(f"input {name!r}: data must be whole numbers that fit {datatype}")
    limits = np.iinfo(cast("np.dtype[np.integer[Any]]", dtype))
    if raw.size and (int(raw.min()) < limits.min or int(raw.max()) > limits.max):
        raise BadTensor(f"input {name!r} has a number that does not fit {datatype}")
    return raw.astype(dtype)


def _strings(data: list[object], name: str) -> NDArray[np.object_]:
    flat: list[object] = data
    while flat and isinstance(flat[0], list):
        if not all(isinstance(part, list) for part in flat):
            raise BadTensor(f"input {name!r}: data is not a regular list of strings")
        flat = [value for part in cast("list[list[object]]", flat) for value in part]
    if not all(isinstance(value, str) for value in flat):
        raise BadTensor(f"input {name!r}: data must be strings")
    values = np.empty(len(flat), dtype=object)
    values[:] = flat
    return values


def _read_group(tensor: Mapping[str, Any]) -> NDArray[np.object_]:
    name = tensor["name"]
    if tensor.get("datatype") != "BYTES":
        raise BadTensor(f"input {name!r} must have datatype BYTES")
    data = tensor.get("data")
    if not isinstance(data, list):
        raise BadTensor(f"input {name!r} needs 'data', a list")
    return _strings(data, name)


def _data(tensor: NDArray[Any]) -> object:
    if tensor.dtype.kind == "O":
        return tensor.ravel().tolist()
    return np.ascontiguousarray(tensor).reshape(-1)
