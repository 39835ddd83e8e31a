"""The parameters of requests and tensors that mean something here; others are let pass.

v2 REST, "Parameters"; the names are those of Triton's parameters and of its binary tensor, shared
memory and sequence extensions.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

from configs.errors import BadInput, BadTensor, NotSupported
from monitors.contributions.wish import (
    BUDGET_MAX_S,
    BUDGET_S,
    SAMPLES,
    SAMPLES_MAX,
    SAMPLES_MIN,
    SEED_MAX,
    Wish,
)
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


def of_explanation(parameters: object) -> Wish:
    """Read how rows are to be explained; `budget_ms` counts in milliseconds a row."""
    if parameters is None:
        return Wish()
    given = _checked(parameters, "the request")
    column = given.get("column")
    budget_ms = given.get("budget_ms", BUDGET_S * 1000)
    if type(budget_ms) not in (int, float) or not 0 <= budget_ms <= BUDGET_MAX_S * 1000:
        most = f"{BUDGET_MAX_S * 1000:.0f}"
        raise BadInput(f"'budget_ms' must be a number of milliseconds from 0 to {most}")
    return Wish(
        _whole(given.get("samples", SAMPLES), "samples", SAMPLES_MIN, SAMPLES_MAX),
        _whole(given.get("seed", 0), "seed", 0, SEED_MAX),
        None if column is None else _whole(column, "column", 0, SEED_MAX),
        budget_ms / 1000,
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


def _whole(value: object, name: str, least: int, most: int) -> int:
    if not isinstance(value, int) or isinstance(value, bool) or not least <= value <= most:
        raise BadInput(f"{name!r} must be a whole number from {least} to {most}")
    return value


def _flag(given: Mapping[str, Any], name: str, where: str) -> bool | None:
    value = given.get(name)
    if value is not None and type(value) is not bool:
        raise BadInput(f"{where}: {name!r} must be true or false")
    return value
