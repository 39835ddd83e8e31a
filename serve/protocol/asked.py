"""What a client asks for, whether it came as JSON, as packed bytes or as a gRPC message.

Nothing here has been held against a model yet: that is for `serve.protocol.contract`.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

Given = list[Any] | memoryview
"""A tensor's elements: values, flat or nested as JSON has them, or packed bytes."""


class GivenTensor(NamedTuple):
    """One input as the client describes it."""

    name: str
    datatype: object
    shape: tuple[int, ...]
    data: Given


class WantedOutput(NamedTuple):
    """One output that the client wants.

    `binary` says whether its elements are to come packed, None leaves it to the request. With
    `classes` above 0 the client wants that many of the highest classes in its place.
    """

    name: str
    binary: bool | None = None
    classes: int = 0


class Asked(NamedTuple):
    """A whole request: without `outputs` all are wanted; `timeout_s` is what the client waits.

    `binary` is how outputs come that say nothing of it. Of a `raw` request only the packed bytes of
    its one input are known.
    """

    inputs: Sequence[GivenTensor]
    outputs: Sequence[WantedOutput] = ()
    id: str | None = None
    timeout_s: float | None = None
    binary: bool = False
    raw: bool = False
