"""The highest classes of an output, against a sort of each row by itself."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays
from numpy.typing import NDArray

from configs.errors import BadInput
from registry.signature import DTYPES, Datatype, TensorSpec
from serve.protocol.contract import Contract
from tests.serve.protocol.requests import contract_of, parse, rendered, x

X = TensorSpec(name="x", datatype=Datatype.FP32, shape=(-1, 3))
NUMERIC = [each for each in Datatype if each not in (Datatype.BOOL, Datatype.BYTES)]


def ranked(row: list[Any], classes: int) -> list[str]:
    """The highest of a row, as the extension writes them; NaN is below everything."""
    places = sorted(
        range(len(row)), key=lambda place: (row[place] != row[place], -row[place], place)
    )
    return [
        f"{row[place]:f}:{place}" if isinstance(row[place], float) else f"{row[place]}:{place}"
        for place in places[:classes]
    ]


def classified(
    values: NDArray[Any], classes: int, datatype: Datatype, *, batched: bool = True
) -> Any:
    """The one output of an answer to a request for classes."""
    shape = (-1, *values.shape[1:]) if batched else values.shape
    inputs = X if batched else TensorSpec(name="x", datatype=Datatype.FP32, shape=(1, 3))
    writes = contract_of([inputs], [TensorSpec(name="y", datatype=datatype, shape=shape)])
    wanted = [{"name": "y", "parameters": {"classification": classes}}]
    request = parse(writes, x([1, 2, 3]), outputs=wanted)
    return rendered(writes, request, (values,))["outputs"][0]


@st.composite
def scores(draw: st.DrawFn) -> tuple[Datatype, NDArray[Any]]:
    """Rows of numbers with ties, NaN and infinity, and the ends of ranges."""
    datatype = draw(st.sampled_from(NUMERIC))
    shape = draw(arrays.array_shapes(min_dims=1, max_dims=3, min_side=0, max_side=5))
    return datatype, draw(arrays.arrays(DTYPES[datatype], shape))


@given(scores(), st.integers(1, 7))
def test_each_row_is_ranked(given_: tuple[Datatype, NDArray[Any]], classes: int) -> None:
    """Highest first, of equal ones the first; as many as are wanted and there."""
    datatype, values = given_
    rows = [row.ravel().tolist() for row in values]

    output = classified(values, classes, datatype)

    wanted = [ranked(row, classes) for row in rows]
    kept = min(classes, values[0].size if len(values) else values.size)
    assert output["datatype"] == "BYTES"
    assert output["data"] == [entry for row in wanted for entry in row]
    if len(values):
        assert output["shape"] == [len(values), kept]


@given(scores(), st.integers(1, 7))
def test_without_rows_the_whole_is_ranked(
    given_: tuple[Datatype, NDArray[Any]], classes: int
) -> None:
    """A model that takes no batches has one list of classes."""
    datatype, values = given_

    output = classified(values, classes, datatype, batched=False)

    wanted = ranked(values.ravel().tolist(), classes)
    assert (output["data"], output["shape"]) == (wanted, [len(wanted)])


def test_neighbours_among_the_largest_numbers() -> None:
    """Whole numbers are compared as such, though no floating number tells them apart."""
    values = np.array([[2**63 - 2, 2**63 - 1, -(2**63)]], np.int64)

    assert classified(values, 3, Datatype.INT64)["data"] == [
        f"{2**63 - 1}:1",
        f"{2**63 - 2}:0",
        f"{-(2**63)}:2",
    ]


@pytest.mark.parametrize("datatype", [Datatype.BOOL, Datatype.BYTES])
def test_what_is_not_numeric_has_no_classes(datatype: Datatype) -> None:
    """Strings and booleans are not ranked."""
    reads: Contract = contract_of([X], [TensorSpec(name="y", datatype=datatype, shape=(-1, 2))])
    wanted = [{"name": "y", "parameters": {"classification": 1}}]

    with pytest.raises(BadInput, match="'y' is not numeric"):
        parse(reads, x([1, 2, 3]), outputs=wanted)


def test_no_classes_is_the_output_itself() -> None:
    """`classification` 0 asks for none."""
    values = np.array([[1.0, 2.0]], np.float32)

    assert classified(values, 0, Datatype.FP32)["data"] == [1.0, 2.0]
