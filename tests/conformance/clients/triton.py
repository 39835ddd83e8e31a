"""Triton's clients: all four have the same methods, or nearly so."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from tritonclient.utils import np_to_triton_dtype

from tests.conformance.clients.trying import same

ONES = np.ones((1, 16), np.int32)
COUNT = np.arange(16, dtype=np.int32).reshape(1, 16)


@dataclass(frozen=True)
class Triton:
    """One of the clients, the module of its tensors, and how its errors name what went wrong."""

    client: Any
    open_client: Any
    """The same client of a gateway that lets clients load and unload models."""
    tensors: Any
    as_dict: dict[str, bool]
    bad: str
    unknown: str
    late: str
    forbidden: str
    unsupported: str

    def input(self, name: str, data: Any, **options: bool) -> Any:
        """An input with its data."""
        made = self.tensors.InferInput(name, list(data.shape), np_to_triton_dtype(data.dtype))
        made.set_data_from_numpy(data, **options)
        return made

    def echo(self, model: str, data: Any, **options: Any) -> Any:
        """What an identity model of one input gives back."""
        kind = np_to_triton_dtype(data.dtype)
        answer = self.client.infer(model, [self.input(f"in_{kind}", data)], **options)
        return answer.as_numpy(f"out_{kind}")

    def add(self, version: str) -> float:
        """What a version of the model `versions` adds to 0."""
        zero = self.input("x", np.zeros((1, 1), np.float32))
        answer = self.client.infer("versions", [zero], model_version=version)
        return float(answer.as_numpy("y")[0, 0])

    def slow(self) -> list[Any]:
        """The input of the model `slow`."""
        return [self.input("x", np.zeros((1, 1), np.float32))]

    def pair(self) -> list[Any]:
        """The two inputs of the model `simple`."""
        return [self.input("INPUT0", COUNT), self.input("INPUT1", ONES)]


def sum_and_difference(answer: Any) -> None:
    """Fail unless an answer is that of `simple` to the two inputs above."""
    same(answer.as_numpy("OUTPUT0"), COUNT + ONES)
    same(answer.as_numpy("OUTPUT1"), COUNT - ONES)
