"""The parameters of requests and tensors that mean something here; others are let pass.

v2 REST, "Parameters"; the names are those of Triton's parameters and of its binary tensor, shared
memory and sequence extensions.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

from configs.errors import BadInput, BadTensor, NotSupported
from serve.protocol.asked import WantedOutput

_MICROSECOND = 1e-6
_SCALARS = (str, bool, int, float)


class Wishes(NamedTuple):
    """What the parameters of a request ask for."""

    timeout_s: float | None = None
    binary: bool = False


NO_WISHES = Wishes()


def of_request(parameters: object) -> Wishes:
    """Read a request's parameters; `timeout` counts in microseconds, 0 stands for none."""
    if parameters is None:
        return NO_WISHES
    given = _checked(parameters, "the request")
    if given.get("sequence_id") not in (None, 0, ""):
        raise NotSupported("sequences are not supported: every request stands for itself")
    timeout = given.get("timeout")
    if timeout is not None and (type(timeout) is not int or timeout < 0):
        raise BadInput("'timeout' must be a whole number of microseconds")
    return Wishes(
        timeout * _MICROSECOND if timeout else None,
        _flag(given, "binary_data_output", "the request") or False,
    )


def packed_size(tensor: Mapping[str, Any]) -> int | None:
    """Give the size in bytes of a tensor whose elements come packed, None if they do not."""
    parameters = tensor.get("parameters")
    if parameters is None:
        return None
    where = f"input {tensor['name']!r}"
    size = _checked(parameters, where).get("binary_data_size")
    if size is not None and (type(size) is not int or size < 0):
        raise BadTensor(f"{where}: 'binary_data_size' must be a whole number of bytes")
    return size


def of_output(name: str, parameters: object) -> WantedOutput:
    """Read how an output is wanted."""
    if parameters is None:
        return WantedOutput(name)
    where = f"output {name!r}"
    given = _checked(parameters, where)
    classes = given.get("classification", 0)
    if type(classes) is not int or classes < 0:
        raise BadInput(f"{where}: 'classification' must be a whole number of classes")
    return WantedOutput(name, _flag(given, "binary_data", where), classes)


def _checked(parameters: object, where: str) -> Mapping[str, Any]:
    if not isinstance(parameters, dict) or not all(
        isinstance(value, _SCALARS) for value in parameters.values()
    ):
        raise BadInput(f"'parameters' of {where} must map names to strings, numbers or booleans")
    if "shared_memory_region" in parameters:
        raise NotSupported("shared memory is not supported: send the tensor with the request")
    return parameters


def _flag(given: Mapping[str, Any], name: str, where: str) -> bool | None:
    value = given.get(name)
    if value is not None and type(value) is not bool:
        raise BadInput(f"{where}: {name!r} must be true or false")
    return value
