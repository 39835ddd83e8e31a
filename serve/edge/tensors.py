"""Open Inference Protocol JSON to tensors and back (v2 REST, "Inference Request JSON Object").

Everything here is a pure function of bytes and of what the version declares.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Any, NamedTuple, cast

import numpy as np
import orjson
from numpy.typing import NDArray

from configs.errors import BadInput, BadTensor
from registry.card import Card
from registry.signature import Signature, TensorSpec
from serve.edge.values import FLOATS, read_strings, read_tensor

Tensors = tuple[NDArray[Any], ...]

_KNOWN = frozenset({"id", "parameters", "inputs", "outputs"})


_NO_GROUPS: Mapping[str, NDArray[np.object_]] = MappingProxyType({})


class InferRequest(NamedTuple):
    """A request that fits its version.

    `inputs` are in the model's order. `outputs` are positions of the wanted outputs, None for
    all. `groups` holds the extra inputs, one value for each of `rows`.
    """

    id: str | None
    inputs: Tensors
    rows: int
    outputs: tuple[int, ...] | None = None
    groups: Mapping[str, NDArray[np.object_]] = _NO_GROUPS


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
                if name in groups:
                    raise BadTensor(f"input {name!r} is given twice")
                groups[name] = read_strings(tensor)
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
        if spec.datatype in FLOATS and values.size:
            rows = values.reshape(values.shape[0], -1)
            for feature in self._required[spec.name]:
                column = feature.column or 0
                if column >= rows.shape[1] or np.isnan(rows[:, column]).any():
                    raise BadTensor(
                        f"feature {feature.name!r} is missing (null or not sent) in input "
                        f"{spec.name!r}, which is not allowed"
                    )
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


def _data(tensor: NDArray[Any]) -> object:
    if tensor.dtype.kind == "O":
        return tensor.ravel().tolist()
    return np.ascontiguousarray(tensor).reshape(-1)
