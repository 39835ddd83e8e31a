"""Tensors of many callers become one, and its answer becomes many again."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from configs.errors import WeirError
from registry.signature import DTYPES
from serve.models.batch import Batch, Job
from serve.models.frames import Tensors
from tests.serve.models.virtual import virtual_time


class Told:
    """Keeps what it is told."""

    def __init__(self) -> None:
        self.result: Tensors = ()
        self.error: WeirError | None = None

    def done(self) -> bool:
        """Whether it was told."""
        return bool(self.result or self.error)

    def set_result(self, result: Tensors, /) -> None:
        """Keep the answer."""
        self.result = result

    def set_exception(self, exception: WeirError, /) -> None:
        """Keep the reason."""
        self.error = exception


class Breaking(Told):
    """Breaks its word: raises whatever it is told."""

    def set_result(self, result: Tensors, /) -> None:
        """Raise."""
        raise KeyError(len(result))

    def set_exception(self, exception: WeirError, /) -> None:
        """Raise."""
        raise KeyError(exception.message)


def batch(parts: list[NDArray[Any]], answers: list[Told] | None = None) -> Batch:
    """A batch of one job a part."""
    answers = answers or [Told() for _ in parts]
    jobs = [
        Job((part,), len(part), 0.0, answer, None, 0.0)
        for part, answer in zip(parts, answers, strict=True)
    ]
    return Batch(jobs, sum(map(len, parts)))


@given(
    st.lists(st.integers(0, 4), min_size=1, max_size=8),
    st.lists(st.integers(0, 3), max_size=2),
    st.sampled_from([*DTYPES.values()]),
    st.booleans(),
)
def test_rows_come_back_as_they_went(
    rows: list[int], inner: list[int], dtype: np.dtype[np.generic], packed: bool
) -> None:
    """Of any datatype and shape, packed or not, equal or unequal numbers of rows."""
    parts = []
    for number, count in enumerate(rows):
        whole = np.empty((2 * count, *inner), dtype)
        whole[...] = np.arange(whole.size).reshape(whole.shape) + number
        if dtype.kind == "O":
            whole[...] = whole.astype(str).astype(object)
        parts.append(whole[:count] if packed else whole[::2])
    one = batch(parts)

    (joined,) = one.tensors()
    one.resolve((joined, joined[::1]))

    np.testing.assert_array_equal(joined, np.concatenate(parts))
    assert joined.dtype == dtype
    for job, part in zip(one.jobs, parts, strict=True):
        assert isinstance(job.answer, Told)
        for got in job.answer.result:
            np.testing.assert_array_equal(got, part)


@pytest.mark.parametrize("rows", [(1, 1, 1), (1, 2, 3)])
def test_who_raises_costs_nobody_else(rows: tuple[int, ...]) -> None:
    """The others get their answer, and the loop hears of the mistake."""
    answers = [Told(), Breaking(), Told()]
    one = batch([np.ones((count, 2)) for count in rows], answers)

    with virtual_time() as loop:
        one.resolve(one.tensors())
        assert [bool(answer.result) for answer in answers] == [True, False, True]
        assert [type(mistake["exception"]) for mistake in loop.mistakes] == [KeyError]

        one.reject(WeirError("no"))
        assert len(loop.mistakes) == 2
