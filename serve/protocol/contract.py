"""What a version takes and gives, held against what a client asks for.

Everything here is a pure function of the request and of what the version declares, and the same
whatever the request was sent over.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Any, NamedTuple, cast

import numpy as np
from numpy.typing import NDArray

from configs.errors import BadInput, BadTensor, Breach
from registry.card import Card
from registry.signature import DTYPES, Datatype, Signature, TensorSpec
from serve.models.frames import Tensors
from serve.protocol.asked import Asked, GivenTensor, WantedOutput
from serve.protocol.classification import highest
from serve.protocol.json_values import FLOATS
from serve.protocol.tensors import read_strings, read_tensor

_NO_GROUPS: Mapping[str, NDArray[np.object_]] = MappingProxyType({})


class Wanted(NamedTuple):
    """An output that is to be sent: its place in the model's answer, and how."""

    place: int
    binary: bool
    classes: int


class InferRequest(NamedTuple):
    """A request that fits its version.

    `inputs` are in the model's order. `groups` holds the extra inputs, one value for each of
    `rows`.
    """

    id: str | None
    inputs: Tensors
    rows: int
    outputs: Sequence[Wanted]
    groups: Mapping[str, NDArray[np.object_]] = _NO_GROUPS


class OutputTensor(NamedTuple):
    """One output on its way to the client; `binary` says whether its elements go packed."""

    name: str
    datatype: str
    values: NDArray[Any]
    binary: bool


class Contract:
    """Turns what clients ask for into a version's tensors, and its answers into outputs."""

    def __init__(self, model: str, signature: Signature, card: Card) -> None:
        self._model = model
        self._signature = signature
        self._batched = signature.batched
        self._specs = signature.inputs
        self._inputs = {spec.name: place for place, spec in enumerate(signature.inputs)}
        self._outputs = {spec.name: place for place, spec in enumerate(signature.outputs)}
        self._said = [(spec.name, spec.datatype.value) for spec in signature.outputs]
        self._all = {
            binary: tuple(Wanted(place, binary, 0) for place in range(len(signature.outputs)))
            for binary in (False, True)
        }
        self._extra = frozenset(card.extra_inputs)
        self._nullable = {feature.input for feature in card.features if feature.nullable}
        self._required = {
            spec.name: sorted(
                (feature.column or 0, feature.name)
                for feature in card.features
                if feature.input == spec.name and not feature.nullable
            )
            for spec in signature.inputs
        }

    def fit(self, asked: Asked) -> InferRequest:
        """Give the request in the model's terms; `BadInput` or `BadTensor` says what is wrong."""
        if asked.raw:
            asked = asked._replace(inputs=(self._whole_input(asked.inputs[0]),))
        found: list[NDArray[Any] | None] = [None] * len(self._specs)
        groups: dict[str, NDArray[np.object_]] = {}
        for tensor in asked.inputs:
            name = tensor.name
            place = self._inputs.get(name)
            if place is not None:
                if found[place] is not None:
                    raise BadTensor(f"input {name!r} is given twice", Breach.UNKNOWN_INPUT)
                found[place] = self._read(tensor, self._specs[place])
            elif name in self._extra:
                if name in groups:
                    raise BadTensor(f"input {name!r} is given twice", Breach.UNKNOWN_INPUT)
                groups[name] = read_strings(tensor)
            else:
                raise self._unknown(name, asked)
        inputs = self._complete(found)
        return InferRequest(
            asked.id, inputs, self._rows(inputs, groups), self._wanted(asked), groups
        )

    def outputs(self, request: InferRequest, answer: Tensors) -> list[OutputTensor]:
        """Give the outputs that a request wants of the model's answer."""
        return [self._output(wanted, answer[wanted.place]) for wanted in request.outputs]

    def _output(self, wanted: Wanted, values: NDArray[Any]) -> OutputTensor:
        place, binary, classes = wanted
        name, datatype = self._said[place]
        if classes:
            values = highest(values, classes, batched=self._batched)
            datatype = Datatype.BYTES.value
        return OutputTensor(name, datatype, values, binary)

    def _read(self, tensor: GivenTensor, spec: TensorSpec) -> NDArray[Any]:
        nullable = spec.name in self._nullable
        values = read_tensor(tensor, spec, nullable=nullable)
        # Values of JSON cannot be NaN unless null became one.
        if nullable or tensor.nan or isinstance(tensor.data, memoryview):
            self._refuse_missing(values, spec)
        return values

    def _refuse_missing(self, values: NDArray[Any], spec: TensorSpec) -> None:
        if spec.datatype not in FLOATS or not values.size:
            return
        required = self._required[spec.name]
        rows = values.reshape(values.shape[0] if values.ndim else 1, -1)
        if not required or (required[-1][0] < rows.shape[1] and not _any_nan(values)):
            return
        for column, feature in required:
            if column >= rows.shape[1] or np.isnan(rows[:, column]).any():
                raise BadTensor(
                    f"feature {feature!r} is missing (null or not sent) in input "
                    f"{spec.name!r}, which is not allowed"
                )

    def _whole_input(self, tensor: GivenTensor) -> GivenTensor:
        """Describe the one input of a raw request: one row, with at most one size to be found."""
        if len(self._signature.inputs) != 1:
            raise BadInput(f"{self._model} has several inputs, so they need names: send JSON first")
        spec = self._signature.inputs[0]
        shape = [1, *spec.shape[1:]] if spec.shape[:1] == (-1,) else list(spec.shape)
        data = cast("memoryview", tensor.data)
        if spec.datatype is Datatype.BYTES:
            # The whole body is one string.
            data = memoryview(len(data).to_bytes(4, "little") + data)
            shape = [max(size, 1) for size in shape]
        elif -1 in shape:
            fixed = DTYPES[spec.datatype].itemsize * math.prod(s for s in shape if s != -1)
            shape[shape.index(-1)] = len(data) // fixed if fixed else 0
            if -1 in shape:
                raise BadInput(f"{self._model} has several sizes that vary: send JSON first")
        return GivenTensor(spec.name, spec.datatype, tuple(shape), data)

    def _names(self) -> str:
        return ", ".join([*self._inputs, *sorted(self._extra)])

    def _complete(self, found: Sequence[NDArray[Any] | None]) -> Tensors:
        for tensor in found:
            if tensor is None:
                raise self._missing(found)
        return cast("Tensors", tuple(found))

    def _unknown(self, name: str, asked: Asked) -> BadTensor:
        """Say that an input is unknown; it goes by another name if one of the model's lacks."""
        lacking = self._inputs.keys() - {tensor.name for tensor in asked.inputs}
        return BadTensor(
            f"{self._model} has no input {name[:64]!r} (inputs: {self._names()})",
            Breach.RENAMED_INPUT if lacking else Breach.UNKNOWN_INPUT,
        )

    def _missing(self, found: Sequence[NDArray[Any] | None]) -> BadTensor:
        missing = [
            spec.name
            for spec, tensor in zip(self._signature.inputs, found, strict=True)
            if tensor is None
        ]
        return BadTensor(f"missing input {', '.join(map(repr, missing))}", Breach.MISSING_INPUT)

    def _rows(self, inputs: Tensors, groups: Mapping[str, NDArray[np.object_]]) -> int:
        rows = inputs[0].shape[0] if self._batched else 1
        if len(inputs) == 1 and not groups:
            return rows
        for spec, tensor in zip(self._signature.inputs, inputs, strict=True):
            if self._batched and tensor.shape[0] != rows:
                raise BadTensor(
                    f"input {spec.name!r} has {tensor.shape[0]} rows, the first input has {rows}",
                    Breach.SHAPE,
                )
        for name, values in groups.items():
            if len(values) != rows:
                raise BadTensor(
                    f"input {name!r} has {len(values)} values for {rows} rows", Breach.SHAPE
                )
        return rows

    def _wanted(self, asked: Asked) -> Sequence[Wanted]:
        if not asked.outputs:
            return self._all[asked.binary]
        wanted = [self._wanted_output(output, asked.binary) for output in asked.outputs]
        if len({output.place for output in wanted}) < len(wanted):
            raise BadInput("an output is asked for twice")
        return wanted

    def _wanted_output(self, output: WantedOutput, binary: bool) -> Wanted:
        place = self._outputs.get(output.name)
        if place is None:
            names = ", ".join(self._outputs)
            raise BadTensor(
                f"{self._model} has no output {output.name[:64]!r} (outputs: {names})",
                Breach.OUTPUT,
            )
        if output.classes and self._signature.outputs[place].datatype in _NOT_RANKED:
            raise BadInput(f"output {output.name!r} is not numeric, so it has no highest classes")
        return Wanted(place, binary if output.binary is None else output.binary, output.classes)


def _any_nan(values: NDArray[Any]) -> bool:
    """Whether one of some floats is NaN; their squares add up to NaN just then, infinite or not.

    Packed values lie where the JSON before them ends. Not every BLAS takes that.
    """
    if not values.flags.aligned:
        return bool(np.isnan(values).any())
    total = float(np.vdot(values, values))
    return total != total  # noqa: PLR0124 - NaN alone is unlike itself


_NOT_RANKED = frozenset({Datatype.BOOL, Datatype.BYTES})
