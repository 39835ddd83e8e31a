"""Tries the features of one client, each by itself, and prints what became of it: a line each.

Runs inside the clients' environments, so it may import nothing but the standard library and numpy.
"""

from __future__ import annotations

import asyncio
import json
import sys
import time
import traceback
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import numpy as np

DEADLINE_S = 20.0
DTYPES: Mapping[str, Any] = {
    "BOOL": np.bool_,
    "UINT8": np.uint8,
    "UINT16": np.uint16,
    "UINT32": np.uint32,
    "UINT64": np.uint64,
    "INT8": np.int8,
    "INT16": np.int16,
    "INT32": np.int32,
    "INT64": np.int64,
    "FP32": np.float32,
    "FP64": np.float64,
}
"""What the model `everything` takes: for each datatype an input `in_<datatype>` of shape [N, 3]."""
HASTY_S = 0.02
"""Less than the model `slow` takes."""
WORDS = ("naïve", "Straße", "日本", "")


def addresses() -> dict[str, str]:
    """Where the gateways listen: `host:port` by name, the first argument of the program."""
    found: dict[str, str] = json.loads(sys.argv[1])
    return found


def extremes(kind: str) -> Any:
    """A tensor [2, 3] with the least and the greatest value of a datatype."""
    dtype = np.dtype(DTYPES[kind])
    if kind == "BOOL":
        return np.array([[True, False, True], [False, False, True]])
    info = np.iinfo(dtype) if dtype.kind in "iu" else np.finfo(dtype)
    return np.array([[info.min, 0, info.max], [1, 2, 3]], dtype)


def same(got: Any, wanted: Any) -> None:
    """Fail unless an answer has the shape, the type and the very values that are wanted."""
    assert got is not None, "the answer does not have this output"
    assert got.shape == wanted.shape, f"shape {got.shape} is not {wanted.shape}"
    assert got.dtype == wanted.dtype, f"type {got.dtype} is not {wanted.dtype}"
    assert np.array_equal(got, wanted), f"{got!r} is not {wanted!r}"


def texts(got: Any) -> list[str]:
    """The strings of an answer, whether they came as JSON or as bytes."""
    return [each.decode() if isinstance(each, bytes) else each for each in got.reshape(-1)]


def ranked(got: Any, scores: Any, best: int) -> None:
    """Fail unless an answer names the `best` classes of each row, as `value:index`, best first."""
    assert got.shape == (len(scores), best), f"shape {got.shape}"
    for row, said in zip(scores, got, strict=True):
        order = np.argsort(-row, kind="stable")[:best]
        found = [text.split(":") for text in texts(said)]
        assert [int(index) for _, index, *_ in found] == list(order), f"{said}"
        assert np.allclose([float(value) for value, *_ in found], row[order], atol=1e-5), f"{said}"


@contextmanager
def raises(
    kind: type[BaseException] | tuple[type[BaseException], ...], *words: str
) -> Iterator[None]:
    """Fail unless the client raises its own exception, and that has all of these words."""
    try:
        yield
    except kind as error:
        said = str(error)
    else:
        message = "the client raised nothing"
        raise AssertionError(message)
    missing = [word for word in words if word not in said]
    assert not missing, f"{missing} not in {said!r}"


def wait_for(true: Callable[[], bool], what: str) -> None:
    """Poll until something holds; fail when it does not in time."""
    end = time.monotonic() + DEADLINE_S
    while not true():
        assert time.monotonic() < end, f"not within {DEADLINE_S:g} s: {what}"
        time.sleep(0.05)


class Blocking:
    """An asyncio client asked one call at a time, by the questions of its blocking sister."""

    def __init__(self, client: Any, loop: asyncio.AbstractEventLoop) -> None:
        self.client = client
        self.loop = loop

    def __getattr__(self, name: str) -> Callable[..., Any]:
        """Give the method of that name, which waits for its answer."""

        def call(*arguments: Any, **options: Any) -> Any:
            return self.loop.run_until_complete(getattr(self.client, name)(*arguments, **options))

        return call


class Features:
    """The features of one client: a decorator that collects them, and the run of them all."""

    def __init__(self) -> None:
        self._tries: dict[str, Callable[[], object]] = {}

    def __call__(self, name: str) -> Callable[[Callable[[], object]], Callable[[], object]]:
        """Collect a function as the try of a feature; it fails by raising anything."""

        def collect(function: Callable[[], object]) -> Callable[[], object]:
            assert name not in self._tries, name
            self._tries[name] = function
            return function

        return collect

    def run(self) -> None:
        """Try all, in order, and print one JSON line for each: `name`, `ok`, `detail`."""
        for name, function in self._tries.items():
            detail = ""
            try:
                function()
            except Exception as error:  # noqa: BLE001 - whatever a client raises is its result
                line = traceback.extract_tb(error.__traceback__)[-1].line
                detail = f"{type(error).__name__}: {str(error) or line}"
            result = {"name": name, "ok": not detail, "detail": detail[:2000]}
            sys.stdout.write(json.dumps(result) + "\n")
            sys.stdout.flush()
