"""JSON becomes the tensors it says, and answers become the JSON they are, for every datatype."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays
from numpy.typing import NDArray

from registry.card import Feature
from registry.signature import DTYPES, Datatype, TensorSpec
from tests.serve.protocol.requests import Y, body, contract, contract_of, parse, read, rendered, x

JSON_DATATYPES = [datatype for datatype in Datatype if datatype is not Datatype.FP16]
SHAPES = arrays.array_shapes(min_dims=1, max_dims=4, min_side=0, max_side=4)


@st.composite
def tensors(draw: st.DrawFn, datatypes: Sequence[Datatype]) -> tuple[Datatype, NDArray[Any]]:
    """A datatype and an array of it without NaN or infinity."""
    datatype = draw(st.sampled_from(datatypes))
    shape = draw(SHAPES)
    if datatype is Datatype.BYTES:
        size = math.prod(shape)
        strings = draw(st.lists(st.text(max_size=5), min_size=size, max_size=size))
        flat = np.empty(size, object)
        flat[:] = strings
        return datatype, flat.reshape(shape)
    dtype = DTYPES[datatype]
    if dtype.kind == "f":
        finite = st.floats(allow_nan=False, allow_infinity=False, width=dtype.itemsize * 8)  # type: ignore[arg-type]
        return datatype, draw(arrays.arrays(dtype, shape, elements=finite))
    return datatype, draw(arrays.arrays(dtype, shape))


def same(left: NDArray[Any], right: NDArray[Any]) -> bool:
    """Whether two arrays agree in type, shape and every element."""
    return (
        left.dtype == right.dtype
        and left.shape == right.shape
        and bool(np.array_equal(left, right))
    )


@given(tensors(JSON_DATATYPES))
def test_nested_and_flat_data_are_the_same_tensor(given_: tuple[Datatype, NDArray[Any]]) -> None:
    """Every array of every datatype arrives bit for bit, sent nested or row by row."""
    datatype, array = given_
    reads = contract(datatype, [-1] * array.ndim)

    nested = parse(reads, x(array.tolist(), array.shape, datatype))
    flat = parse(reads, x(array.ravel().tolist(), array.shape, datatype))

    assert same(nested.inputs[0], array)
    assert same(flat.inputs[0], array)
    assert nested.rows == flat.rows == array.shape[0]


@given(tensors(list(Datatype)), st.one_of(st.none(), st.text(max_size=8)))
def test_answers_say_what_the_model_gave(
    given_: tuple[Datatype, NDArray[Any]], request_id: str | None
) -> None:
    """An answer holds each output's name, datatype, shape and flat data, and echoes the id."""
    datatype, array = given_
    spec = TensorSpec(name="out", datatype=datatype, shape=(-1,) * array.ndim)
    writes = contract_of([TensorSpec(name="x", datatype=Datatype.FP32, shape=(-1, 3))], [spec])
    more = {} if request_id is None else {"id": request_id}
    request = parse(writes, x([1, 2, 3]), **more)

    answer = rendered(writes, request, (array,))

    (output,) = answer.pop("outputs")
    back = np.array(output.pop("data"), dtype=array.dtype).reshape(output["shape"])
    assert same(back, array)
    assert output == {"name": "out", "datatype": datatype, "shape": list(array.shape)}
    assert answer == {"model_name": "credit", "model_version": "3", "parameters": {}, **more}


def test_arrays_that_are_not_contiguous_are_rendered_in_order() -> None:
    """A transposed output is written row by row, as its shape reads."""
    writes = contract()
    request = parse(writes, x([1, 2, 3]))

    answer = rendered(writes, request, (np.arange(6, dtype=np.float32).reshape(2, 3).T,))

    assert answer["outputs"][0]["data"] == [0.0, 3.0, 1.0, 4.0, 2.0, 5.0]


def test_numbers_that_are_not_finite_become_null() -> None:
    """NaN and infinities have no JSON, so they are null."""
    writes = contract()
    request = parse(writes, x([1, 2, 3]))

    answer = rendered(writes, request, (np.array([np.nan, np.inf, -np.inf, 1.0]),))

    assert answer["outputs"][0]["data"] == [None, None, None, 1.0]


def test_only_requested_outputs_are_given_in_the_order_asked() -> None:
    """`outputs` chooses; without it, or with an empty list, all are given."""
    spec = TensorSpec(name="x", datatype=Datatype.FP32, shape=(-1, 3))
    z = TensorSpec(name="z", datatype=Datatype.INT64, shape=(-1,))
    both = contract_of([spec], [Y, z])
    answer = (np.ones((1, 1), np.float32), np.array([7]))

    def names(**more: object) -> list[str]:
        given = rendered(both, parse(both, x([1, 2, 3]), **more), answer)
        return [output["name"] for output in given["outputs"]]

    assert names() == names(outputs=[]) == ["y", "z"]
    assert names(outputs=[{"name": "z"}]) == ["z"]
    assert names(outputs=[{"name": "z"}, {"name": "y"}]) == ["z", "y"]


def test_inputs_may_come_in_any_order() -> None:
    """Tensors are told apart by name and handed on in the model's order."""
    specs = [
        TensorSpec(name=name, datatype=Datatype.INT64, shape=(-1,)) for name in ("age", "income")
    ]
    both = contract_of(specs, [Y])
    income = {"name": "income", "datatype": "INT64", "shape": [2], "data": [10, 20]}
    age = {"name": "age", "datatype": "INT64", "shape": [2], "data": [1, 2]}

    first, second = parse(both, income, age), parse(both, age, income)

    assert [tensor.tolist() for tensor in first.inputs] == [[1, 2], [10, 20]]
    assert [tensor.tolist() for tensor in second.inputs] == [[1, 2], [10, 20]]


def test_extra_inputs_are_kept_apart_from_the_model() -> None:
    """A group attribute is one string a row, and never reaches the model."""
    reads = contract(groups=["sex"])
    sex = {"name": "sex", "datatype": "BYTES", "shape": [2], "data": ["f", "m"]}

    request = parse(reads, x([1, 2, 3, 4, 5, 6], [2, 3]), sex)

    assert len(request.inputs) == 1
    assert request.groups["sex"].tolist() == ["f", "m"]
    assert parse(reads, x([1, 2, 3])).groups == {}


NULLABLE = (
    Feature(name="age", input="x", column=0),
    Feature(name="income", input="x", column=1, nullable=True),
)


def test_null_is_a_missing_value_where_the_card_allows_it() -> None:
    """A null in a nullable feature reaches the model as NaN."""
    request = parse(contract(features=NULLABLE), x([1, None, 3]))

    np.testing.assert_array_equal(request.inputs[0], [[1, np.nan, 3]])


@pytest.mark.parametrize("datatype", ["FP32", "FP64"])
def test_a_whole_column_may_be_missing(datatype: str) -> None:
    """A tensor of nothing but nulls is read where null is allowed."""
    only = (Feature(name="age", input="x", column=0, nullable=True),)
    reads = contract(Datatype(datatype), (-1, 1), features=only)

    assert np.isnan(parse(reads, x([None, None], [2, 1], datatype)).inputs[0]).all()


def test_whole_numbers_fill_floating_point_tensors() -> None:
    """`1` is as good as `1.0`, also beside it, and the largest integers are rounded."""
    assert parse(contract(), x([1, 2.5, -3])).inputs[0].tolist() == [[1.0, 2.5, -3.0]]
    wide = parse(contract(Datatype.FP64), x([2**64 - 1, -1, 0.5], datatype="FP64"))
    assert wide.inputs[0].tolist() == [[2.0**64, -1.0, 0.5]]


def test_the_largest_whole_numbers_arrive_beside_small_ones() -> None:
    """UINT64 takes its whole range in one tensor."""
    reads = contract(Datatype.UINT64)

    parsed = parse(reads, x([2**64 - 1, 1, 0], datatype="UINT64"))

    assert parsed.inputs[0].tolist() == [[2**64 - 1, 1, 0]]


def test_a_model_without_a_batch_takes_one_row() -> None:
    """When a dimension is fixed, the request is one row, whatever its shape."""
    fixed = contract(shape=(2, 3), groups=["sex"])
    sex = {"name": "sex", "datatype": "BYTES", "shape": [1], "data": ["f"]}

    assert parse(fixed, x([1, 2, 3, 4, 5, 6], [2, 3]), sex).rows == 1


def test_parameters_that_mean_nothing_here_are_let_pass() -> None:
    """`parameters` of a request or tensor may hold any scalars, as the protocol says."""
    reads = contract()

    parsed = read(reads, body(x([1, 2, 3], parameters={"a": 1}), parameters={"b": "z"}))

    assert parsed.inputs[0].tolist() == [[1.0, 2.0, 3.0]]
