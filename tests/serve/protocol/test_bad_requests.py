"""Whatever a client sends, it gets a sentence that names the fault, never another exception."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Sequence

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from configs.errors import BadInput, BadTensor, WeirError
from registry.card import Feature
from registry.signature import Datatype, TensorSpec
from serve.protocol.contract import Contract
from tests.serve.protocol.requests import Y, body, contract, contract_of, parse, read, x


@pytest.mark.parametrize(
    ("sent", "says"),
    [
        pytest.param(b"", "not JSON", id="nothing"),
        pytest.param(b"{", "not JSON", id="cut-off"),
        pytest.param(b"\xff\xfe", "not JSON", id="not-utf8"),
        pytest.param(b'{"inputs": [{"data": [NaN]}]}', "not JSON", id="nan-literal"),
        pytest.param(b"[" * 100_000, "not JSON", id="too-deep"),
        pytest.param(b'{"inputs":' + b"1" + b"0" * 400 + b"}", "not JSON", id="1e400"),
        pytest.param(b"[]", "must be a JSON object", id="a-list"),
        pytest.param(b"null", "must be a JSON object", id="null"),
        pytest.param(b"{}", "'inputs' must be a list", id="no-inputs"),
        pytest.param(b'{"inputs": []}', "'inputs' must be a list", id="empty-inputs"),
        pytest.param(b'{"inputs": {}}', "'inputs' must be a list", id="inputs-object"),
        pytest.param(b'{"inputs": [1]}', "an object with a 'name'", id="input-number"),
        pytest.param(b'{"inputs": [{"name": 1}]}', "an object with a 'name'", id="name-number"),
        pytest.param(body(x([1, 2, 3]), rows=1), "unknown key 'rows'", id="unknown-key"),
        pytest.param(body(x([1, 2, 3]), parameters=[]), "'parameters'", id="parameters-list"),
        pytest.param(body(x([1, 2, 3]), id=7), "'id' must be a string", id="id-number"),
        pytest.param(body(x([1, 2, 3]), outputs=7), "'outputs' must be", id="outputs-number"),
        pytest.param(body(x([1, 2, 3]), outputs=[7]), "'outputs' must be", id="output-number"),
    ],
)
def test_requests_that_are_not_requests(sent: bytes, says: str) -> None:
    """A body that is not a request is refused with the reason."""
    with pytest.raises(BadInput, match=says):
        read(contract(), sent)


@pytest.mark.parametrize(
    ("tensor", "says"),
    [
        pytest.param(x([1, 2, 3], extra=1), "unknown key 'extra'", id="unknown-key"),
        pytest.param(x([1, 2, 3], datatype="FP64"), "datatype FP32, not FP64", id="datatype"),
        pytest.param(x([1, 2, 3], datatype=None), "datatype FP32", id="datatype-null"),
        pytest.param(x([1, 2, 3], datatype=["FP32"]), "datatype FP32", id="datatype-list"),
        pytest.param(x([1, 2, 3], datatype={}), "datatype FP32", id="datatype-object"),
        pytest.param(x([1, 2, 3], shape=None), "needs a 'shape'", id="shape-null"),
        pytest.param(x([1, 2, 3], shape=[1, 3.0]), "needs a 'shape'", id="shape-float"),
        pytest.param(x([1, 2, 3], shape=[True, 3]), "needs a 'shape'", id="shape-bool"),
        pytest.param(x([1, 2, 3], shape=[-1, 3]), "needs a 'shape'", id="shape-negative"),
        pytest.param(x([1, 2, 3], shape=[2**31, 3]), "needs a 'shape'", id="shape-huge"),
        pytest.param(x([1, 2, 3], shape=[3]), "must have shape", id="shape-flat"),
        pytest.param(x([1, 2, 3], shape=[1, 4]), "must have shape", id="shape-other"),
        pytest.param(x([1, 2, 3], shape=[2, 3]), "has 3 values", id="too-few-values"),
        pytest.param(x([]), "has 0 values", id="no-values"),
        pytest.param(x(None), "needs 'data'", id="data-null"),
        pytest.param(x({"0": 1}), "needs 'data'", id="data-object"),
        pytest.param(x("123"), "needs 'data'", id="data-string"),
        pytest.param(x([[1, 2], [3]]), "'x'", id="ragged"),
        pytest.param(x([[1, 2], 3]), "'x'", id="half-nested"),
        pytest.param(x([1, 2, "3"]), "'x'", id="a-string"),
        pytest.param(x(["1", "2", "3"]), "'x'", id="strings"),
        pytest.param(x([True, False, True]), "'x'", id="booleans"),
        pytest.param(x([True, 2, 3.5]), "'x'", id="boolean-among-numbers"),
        pytest.param(x([1, 2, {}]), "'x'", id="an-object"),
        pytest.param(x([1, 2, None]), "missing value", id="null"),
        pytest.param(x([1, 2, 1e39]), "does not fit FP32", id="overflow"),
        pytest.param(x([1, 2, -1e39]), "does not fit FP32", id="overflow-negative"),
    ],
)
def test_bad_numbers(tensor: object, says: str) -> None:
    """Each fault of a floating-point tensor is told with the tensor's name."""
    with pytest.raises(BadTensor, match=says) as caught:
        parse(contract(), tensor)
    assert "'x'" in caught.value.message


@pytest.mark.parametrize(
    ("datatype", "data"),
    [
        pytest.param("INT8", [1, 2, 128], id="int8-above"),
        pytest.param("INT8", [1, 2, -129], id="int8-below"),
        pytest.param("UINT8", [1, 2, -1], id="uint8-below"),
        pytest.param("INT64", [1, 2, 2**63], id="int64-above"),
        pytest.param("UINT64", [1, 2, -1], id="uint64-below"),
        pytest.param("UINT64", [1, 2, 1e20], id="uint64-above"),
        pytest.param("UINT64", [2**64 - 1, 2, -1], id="uint64-both"),
        pytest.param("INT32", [1, 2, 1.5], id="fraction"),
        pytest.param("INT32", [1, 2, None], id="null"),
        pytest.param("INT32", [1, 2, "3"], id="string"),
        pytest.param("INT32", [True, False, True], id="booleans"),
        pytest.param("INT32", [1, 2, True], id="boolean-among-numbers"),
        pytest.param("BOOL", [1, 0, 1], id="numbers-for-booleans"),
        pytest.param("BOOL", [True, False, None], id="null-for-boolean"),
        pytest.param("BOOL", [True, False, 1], id="number-among-booleans"),
        pytest.param("BYTES", ["a", "b", 1], id="number-among-strings"),
        pytest.param("BYTES", ["a", "b", None], id="null-among-strings"),
        pytest.param("BYTES", [["a"], "b", "c"], id="half-nested-strings"),
        pytest.param("FP16", [1, 2, 3], id="fp16"),
    ],
)
def test_bad_values(datatype: str, data: Sequence[object]) -> None:
    """Values that a datatype cannot hold exactly are refused, never wrapped or cut off."""
    with pytest.raises(BadTensor, match="'x'"):
        parse(contract(Datatype(datatype)), x(data, datatype=datatype))


@pytest.mark.parametrize(
    ("datatype", "shape", "data"),
    [
        pytest.param("FP32", [2, 3], [[1, 2], [3, 4], [5, 6]], id="transposed-numbers"),
        pytest.param("BYTES", [2, 2], [["a"], ["b", "c", "d"]], id="ragged-strings"),
        pytest.param(
            "BYTES", [2, 3], [["a", "b"], ["c", "d"], ["e", "f"]], id="transposed-strings"
        ),
    ],
)
def test_nesting_must_agree_with_the_shape(
    datatype: str, shape: list[int], data: list[object]
) -> None:
    """Nested data says its shape twice; where the two differ the request is refused."""
    with pytest.raises(BadTensor, match="'x'"):
        parse(contract(Datatype(datatype), (-1, -1)), x(data, shape, datatype))


def test_an_empty_tensor_of_an_impossible_shape() -> None:
    """A shape whose product is zero may still be too large to exist."""
    huge = [0, 2**31 - 1, 2**31 - 1, 2**31 - 1]
    with pytest.raises(BadTensor, match="'x'"):
        parse(contract(shape=(-1, -1, -1, -1)), x([], huge))


def test_a_long_string_among_numbers_takes_no_memory() -> None:
    """A string among numbers must not be widened to all elements: 16 TB for a body of 6 MB."""
    with pytest.raises(BadTensor, match="'x'"):
        parse(contract(shape=(-1,)), x(["x" * 2**22, *[1] * 2**20], [2**20 + 1]))


def test_names_of_inputs_and_outputs() -> None:
    """Unknown, missing and repeated tensors are named, with what there is."""
    with pytest.raises(BadTensor, match=r"no input 'z' \(inputs: x, sex\)"):
        parse(contract(groups=["sex"]), {**x([1, 2, 3]), "name": "z"})
    with pytest.raises(BadTensor, match="input 'x' is given twice"):
        parse(contract(), x([1, 2, 3]), x([1, 2, 3]))
    with pytest.raises(BadTensor, match=r"no output 'z' \(outputs: y\)"):
        parse(contract(), x([1, 2, 3]), outputs=[{"name": "z"}])
    both = [TensorSpec(name=name, datatype=Datatype.FP32, shape=(-1, 3)) for name in ("x", "w")]
    with pytest.raises(BadTensor, match="missing input 'w'"):
        parse(contract_of(both, [Y]), x([1, 2, 3]))


def test_all_inputs_have_the_same_rows() -> None:
    """Rows that do not agree between inputs are refused."""
    both = [TensorSpec(name=name, datatype=Datatype.FP32, shape=(-1, 3)) for name in ("x", "w")]
    with pytest.raises(BadTensor, match="'w' has 2 rows, the first input has 1"):
        parse(contract_of(both, [Y]), x([1, 2, 3]), {**x([1, 2, 3] * 2, [2, 3]), "name": "w"})


@pytest.mark.parametrize(
    ("sent", "says"),
    [
        pytest.param({"datatype": "INT64", "data": [1]}, "datatype BYTES", id="datatype"),
        pytest.param({"datatype": "BYTES"}, "needs 'data'", id="no-data"),
        pytest.param({"datatype": "BYTES", "data": [1]}, "must be strings", id="numbers"),
        pytest.param(
            {"datatype": "BYTES", "data": ["f", "m"], "shape": [2]},
            "2 values for 1 rows",
            id="rows",
        ),
        pytest.param(
            {"datatype": "BYTES", "data": ["f", "m"]}, "shape \\[1\\] wants 1", id="shape"
        ),
        pytest.param({"datatype": "BYTES", "data": ["f"], "a": 1}, "unknown key 'a'", id="key"),
    ],
)
def test_bad_groups(sent: dict[str, object], says: str) -> None:
    """Group attributes are checked as the model's own inputs are."""
    with pytest.raises(BadTensor, match=says):
        parse(contract(groups=["sex"]), x([1, 2, 3]), {"name": "sex", "shape": [1], **sent})


def test_a_group_given_twice() -> None:
    """A repeated group attribute is refused like any repeated input."""
    sex = {"name": "sex", "datatype": "BYTES", "shape": [1], "data": ["f"]}
    with pytest.raises(BadTensor, match="'sex' is given twice"):
        parse(contract(groups=["sex"]), x([1, 2, 3]), sex, {**sex, "data": ["m"]})


AGE = Feature(name="age", input="x", column=0)
INCOME = Feature(name="income", input="x", column=1, nullable=True)


def test_a_required_feature_beside_a_nullable_one() -> None:
    """Null is refused where the card does not allow it, by the feature's name."""
    with pytest.raises(BadTensor, match="'age' is missing"):
        parse(contract(features=[AGE, INCOME]), x([None, 2, 3]))


def test_a_required_column_that_was_not_sent() -> None:
    """A model of varying width may be sent fewer columns than the card speaks of."""
    wide = Feature(name="wide", input="x", column=5)
    with pytest.raises(BadTensor, match=r"'x'|'wide'"):
        parse(contract(shape=(-1, -1), features=[INCOME, wide]), x([1, 2, 3]))


def test_required_columns_are_counted_within_a_row() -> None:
    """The columns of a row of several dimensions are numbered one after the other."""
    last = Feature(name="last", input="x", column=5)
    reads = contract(shape=(-1, 2, 3), features=[INCOME, last])

    parse(reads, x([1, None, 3, 4, 5, 6], [1, 2, 3]))
    with pytest.raises(BadTensor, match="'last' is missing"):
        parse(reads, x([1, 2, 3, 4, 5, None], [1, 2, 3]))


def test_required_strings_beside_nullable_ones() -> None:
    """A tensor of strings has no NaN to look for."""
    parsed = parse(
        contract(Datatype.BYTES, (-1, 2), features=[AGE, INCOME]), x(["a", "b"], [1, 2], "BYTES")
    )

    assert parsed.inputs[0].tolist() == [["a", "b"]]


JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text(max_size=4)
    | st.sampled_from(["FP32", "INT64", "BYTES", "BOOL", "x", "y", "sex"]),
    lambda inner: (
        st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=3), inner, max_size=3)
    ),
    max_leaves=12,
)
TENSORS = st.fixed_dictionaries(
    {},
    optional={
        "name": st.sampled_from(["x", "sex", "y"]) | JSON,
        "datatype": st.sampled_from(["FP32", "INT64", "BYTES", "BOOL", "UINT64"]) | JSON,
        "shape": st.lists(st.integers(0, 3), max_size=4) | JSON,
        "data": st.lists(JSON, max_size=6) | JSON,
        "parameters": JSON,
    },
)
REQUESTS = st.fixed_dictionaries(
    {"inputs": st.lists(TENSORS, max_size=3) | JSON},
    optional={"outputs": st.lists(TENSORS, max_size=2) | JSON, "id": JSON, "parameters": JSON},
)
MODELS = [
    contract(datatype, shape, features=[AGE, INCOME], groups=["sex"])
    for datatype, shape in [
        (Datatype.FP32, (-1, -1)),
        (Datatype.INT64, (-1,)),
        (Datatype.BYTES, (-1, -1)),
        (Datatype.BOOL, (2, -1)),
        (Datatype.UINT64, (-1, -1, -1, -1)),
    ]
]


@settings(max_examples=400)
@given(st.sampled_from(MODELS), REQUESTS)
def test_any_json_is_understood_or_refused(reads: Contract, request: object) -> None:
    """No JSON document makes the parser raise anything but an error of ours."""
    with contextlib.suppress(WeirError):
        read(reads, json.dumps(request).encode())


@given(st.sampled_from(MODELS), st.binary(max_size=64))
def test_any_bytes_are_understood_or_refused(reads: Contract, sent: bytes) -> None:
    """No bytes make the parser raise anything but an error of ours."""
    with contextlib.suppress(WeirError):
        read(reads, sent)
