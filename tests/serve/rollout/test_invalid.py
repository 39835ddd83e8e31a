"""What is a valid answer: as the signature has it, and with numbers in it."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes, arrays
from numpy.typing import NDArray

from registry.signature import DTYPES, Datatype, Signature, TensorSpec
from serve.rollout.invalid import Validity

MANY = (-1, 2)


def validity(datatype: Datatype = Datatype.FP32, shape: tuple[int, ...] = MANY) -> Validity:
    """The check of a model with one output."""
    one = TensorSpec(name="x", datatype=Datatype.FP32, shape=(-1, 3))
    return Validity(
        Signature(inputs=(one,), outputs=(TensorSpec(name="y", datatype=datatype, shape=shape),))
    )


@given(
    arrays(
        np.dtype(np.float32),
        array_shapes(min_dims=2, max_dims=2, min_side=0),
        elements=st.floats(width=32),
    )
)
def test_an_answer_is_valid_if_all_its_numbers_are_finite(values: NDArray[np.float32]) -> None:
    """Large numbers are numbers, though their squares are none."""
    holds = validity(shape=(-1, -1)).holds((values,), len(values))

    assert holds is bool(np.isfinite(values).all())


@pytest.mark.parametrize("datatype", [Datatype.FP16, Datatype.FP32, Datatype.FP64])
@pytest.mark.parametrize("wrong", [np.nan, np.inf, -np.inf])
def test_one_number_that_is_none(datatype: Datatype, wrong: float) -> None:
    """Among many, in any float type, also where they lie askew in memory or apart."""
    checked = validity(datatype)
    dtype = DTYPES[datatype]
    good = np.ones((50, 2), dtype)
    bad = good.copy()
    bad[49, 1] = wrong
    askew = np.frombuffer(b"\0" + bad.tobytes(), np.uint8)[1:].view(dtype).reshape(50, 2)
    apart = np.asfortranarray(bad)

    assert checked.holds((good,), 50)
    assert not any(checked.holds((values,), 50) for values in (bad, askew, apart))


@pytest.mark.parametrize(
    "answer",
    [
        pytest.param((), id="nothing"),
        pytest.param((np.ones((3, 2), np.float32),) * 2, id="too-many"),
        pytest.param((np.ones((3, 2), np.float64),), id="datatype"),
        pytest.param((np.ones((3, 1), np.float32),), id="columns"),
        pytest.param((np.ones((4, 2), np.float32),), id="rows"),
        pytest.param((np.ones(3, np.float32),), id="dimensions"),
    ],
)
def test_an_answer_that_is_not_what_was_promised(answer: tuple[NDArray[np.float32], ...]) -> None:
    """Number, datatype, shape and rows of the outputs must be those of the signature."""
    assert validity().holds((np.ones((3, 2), np.float32),), 3)
    assert not validity().holds(answer, 3)


def test_other_outputs_are_not_looked_into() -> None:
    """Whole numbers and strings cannot be invalid."""
    assert validity(Datatype.INT64).holds((np.zeros((1, 2), np.int64),), 1)
    strings = np.array([["a", "nan"]], dtype=object)
    assert validity(Datatype.BYTES).holds((strings,), 1)


def test_a_model_without_rows() -> None:
    """An answer of a fixed shape is valid whatever the number of rows is said to be."""
    assert validity(shape=(4,)).holds((np.ones(4, np.float32),), 1)
