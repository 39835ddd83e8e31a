"""Packed tensors arrive as the bytes say, and leave as a client expects them."""

from __future__ import annotations

import math
import os
import struct
import subprocess
import sys
from typing import Any

import numpy as np
import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from configs.errors import BadInput, BadTensor
from registry.card import Feature
from registry.signature import DTYPES, Datatype, TensorSpec
from serve.protocol import http_answer
from tests.serve.protocol.encoders import CODES, framed, packed, tensor, unpacked
from tests.serve.protocol.requests import Y, body, contract, contract_of, parse, read, x
from tests.serve.protocol.test_tensors import tensors

THREE = packed("FP32", [1.0, 2.0, 3.0])
INTEGERS = [each for each in CODES if each.startswith(("INT", "UINT"))]


def x_head(**more: object) -> dict[str, Any]:
    """The head of the packed tensor `x` of one row of three."""
    return tensor("x", "FP32", [1, 3], **more)


@given(tensors(list(Datatype)))
def test_every_datatype_comes_and_goes_as_struct_packs_it(given_: tuple[Datatype, Any]) -> None:
    """The elements that a client packs are those of the model, and back, empty tensors too."""
    datatype, array = given_
    values = array.ravel().tolist()
    spec = TensorSpec(name="x", datatype=datatype, shape=(-1,) * array.ndim)
    reads = contract_of([spec], [spec])
    sent, json_bytes = framed([(tensor("x", datatype, array.shape), packed(datatype, values))])

    request = read(reads, sent, json_bytes)

    assert request.inputs[0].dtype == DTYPES[datatype]
    assert request.inputs[0].shape == array.shape
    assert request.inputs[0].ravel().tolist() == values
    (output,) = reads.outputs(request._replace(outputs=reads._all[True]), request.inputs)
    answer, head = http_answer.write("credit", "1", None, {}, [output])
    assert head is not None
    told = orjson.loads(answer[:head])["outputs"][0]
    assert told["parameters"] == {"binary_data_size": len(answer) - head}
    assert (told["shape"], "data" in told) == (list(array.shape), False)
    assert unpacked(datatype, answer[head:]) == values


@pytest.mark.parametrize("datatype", INTEGERS)
def test_the_ends_of_every_range_arrive(datatype: str) -> None:
    """The least and the greatest number of each integer datatype are themselves."""
    bits = 8 * struct.calcsize("<" + CODES[datatype])
    low, high = (
        (0, 2**bits - 1) if datatype[0] == "U" else (-(2 ** (bits - 1)), 2 ** (bits - 1) - 1)
    )
    sent, head = framed([(tensor("x", datatype, [2]), packed(datatype, [low, high]))])

    request = read(contract(Datatype(datatype), (-1,)), sent, head)

    assert request.inputs[0].tolist() == [low, high]


def test_json_and_packed_inputs_may_be_mixed() -> None:
    """Packed elements stand in the order of their tensors, wherever JSON ones stand between."""
    specs = [
        TensorSpec(name=name, datatype=Datatype.INT32, shape=(-1, 2)) for name in ("a", "b", "c")
    ]
    sent, head = framed(
        [
            (tensor("c", "INT32", [1, 2]), packed("INT32", [5, 6])),
            (tensor("a", "INT32", [1, 2], data=[[1, 2]]), None),
            (tensor("b", "INT32", [1, 2]), packed("INT32", [3, 4])),
        ]
    )

    request = read(contract_of(specs, [Y]), sent, head)

    assert [each.tolist() for each in request.inputs] == [[[1, 2]], [[3, 4]], [[5, 6]]]


@pytest.mark.parametrize(
    ("datatype", "shape", "sent", "wanted"),
    [
        pytest.param("FP32", (-1, 3), THREE, [[1.0, 2.0, 3.0]], id="rows"),
        pytest.param("FP32", (-1, -1), THREE, [[1.0, 2.0, 3.0]], id="one-size-varies"),
        pytest.param("FP32", (3,), THREE, [1.0, 2.0, 3.0], id="fixed"),
        pytest.param("FP16", (-1, 2), packed("FP16", [0.5, 2.0]), [[0.5, 2.0]], id="fp16"),
        pytest.param("BYTES", (-1,), b"\x05\x00text", ["\x05\x00text"], id="one-string"),
        pytest.param("BYTES", (-1, 1), b"", [[""]], id="empty-string"),
        pytest.param("FP32", (-1, -1), b"", [[]], id="nothing"),
    ],
)
def test_a_raw_request_is_its_one_input(
    datatype: str, shape: tuple[int, ...], sent: bytes, wanted: list[object]
) -> None:
    """With a JSON length of 0 the body is one row, and all outputs come packed."""
    request = read(contract(Datatype(datatype), shape), sent, 0)

    assert request.inputs[0].tolist() == wanted
    assert [output.binary for output in request.outputs] == [True]


@pytest.mark.parametrize(
    ("datatype", "shape", "sent"),
    [
        pytest.param("FP32", (-1, 3), THREE[:-1], id="cut-off"),
        pytest.param("FP32", (-1, 3), THREE * 2, id="two-rows"),
        pytest.param("FP32", (-1, -1), THREE[:-1], id="not-whole"),
        pytest.param("FP32", (-1, -1, -1), THREE, id="two-sizes-vary"),
        pytest.param("FP32", (-1, 0, -1), THREE, id="nothing-fits"),
        pytest.param("BYTES", (-1,), b"\xff", id="not-utf8"),
        pytest.param("BYTES", (-1, 2), b"a", id="one-string-for-two"),
        pytest.param("BOOL", (-1, 1), b"\x02", id="no-boolean"),
    ],
)
def test_a_raw_request_that_does_not_fit(
    datatype: str, shape: tuple[int, ...], sent: bytes
) -> None:
    """A body that cannot be the model's one input is refused."""
    with pytest.raises(BadInput):
        read(contract(Datatype(datatype), shape), sent, 0)


def test_a_raw_request_needs_a_model_of_one_input() -> None:
    """Which of several inputs a raw body is cannot be known."""
    specs = [TensorSpec(name=name, datatype=Datatype.FP32, shape=(-1,)) for name in "ab"]
    with pytest.raises(BadInput, match="several inputs"):
        read(contract_of(specs, [Y]), THREE, 0)


@pytest.mark.parametrize(
    ("size", "blob", "says"),
    [
        pytest.param(11, THREE[:11], "has 11 bytes of data", id="too-few"),
        pytest.param(13, THREE, "reaches beyond", id="beyond"),
        pytest.param(2**63, THREE, "reaches beyond", id="huge"),
        pytest.param(12, THREE[:4], "reaches beyond", id="cut-off"),
        pytest.param(12, THREE + b"1", "1 bytes of the body belong to no input", id="left-over"),
        pytest.param(-12, THREE, "whole number of bytes", id="negative"),
        pytest.param(True, b"1", "whole number of bytes", id="bool"),
        pytest.param(12.0, THREE, "whole number of bytes", id="float"),
        pytest.param("12", THREE, "whole number of bytes", id="string"),
        pytest.param(0, b"", "has 0 bytes of data", id="zero"),
    ],
)
def test_sizes_must_be_those_of_the_tensors(size: object, blob: bytes, says: str) -> None:
    """What a tensor's size says, what its shape says and what is there must agree."""
    head = body(x_head(parameters={"binary_data_size": size}))

    with pytest.raises(BadInput, match=says):
        read(contract(), head + blob, len(head))


def test_bytes_that_no_length_announces() -> None:
    """Without a header length there are no packed bytes, so a size reaches beyond the end."""
    sent, _ = framed([(x_head(), THREE)])

    with pytest.raises(BadInput, match="not JSON"):
        read(contract(), sent)
    with pytest.raises(BadTensor, match="reaches beyond"):
        parse(contract(), x_head(parameters={"binary_data_size": 12}))


@pytest.mark.parametrize("off_by", [-1, 1])
def test_a_header_length_that_is_wrong(off_by: int) -> None:
    """JSON that is cut off, or has a packed byte behind it, is no JSON."""
    sent, head = framed([(x_head(), THREE)])

    with pytest.raises(BadInput, match="not JSON"):
        read(contract(), sent, head + off_by)


def test_data_and_size_are_not_sent_together() -> None:
    """Elements come one way or the other."""
    head = body(x_head(data=[1, 2, 3], parameters={"binary_data_size": 12}))

    with pytest.raises(BadTensor, match="both 'data' and 'binary_data_size'"):
        read(contract(), head + THREE, len(head))


@pytest.mark.parametrize(
    "blob",
    [
        pytest.param(packed("BYTES", [b"\xff\xfe"]), id="not-utf8"),
        pytest.param(packed("BYTES", [b"\xed\xa0\x80"]), id="a-surrogate"),
        pytest.param(packed("BYTES", ["ab"])[:-1], id="cut-off"),
        pytest.param(packed("BYTES", ["ab"])[:3], id="half-a-length"),
        pytest.param(struct.pack("<I", 2**32 - 1) + b"ab", id="too-long"),
        pytest.param(packed("BYTES", ["a", "b"]), id="two"),
        pytest.param(b"", id="none"),
    ],
)
def test_strings_that_are_none(blob: bytes) -> None:
    """Packed strings must be UTF-8, end where their data ends, and be as many as the shape says."""
    sent, head = framed([(tensor("x", "BYTES", [1]), blob)])

    with pytest.raises(BadTensor, match="'x'"):
        read(contract(Datatype.BYTES, (-1,)), sent, head)


def test_packed_booleans_are_0_or_1() -> None:
    """Any other byte is refused: a model would read it as it likes."""
    sent, head = framed([(tensor("x", "BOOL", [2]), b"\x01\x02")])

    with pytest.raises(BadTensor, match="must be 0 or 1"):
        read(contract(Datatype.BOOL, (-1,)), sent, head)


def test_values_of_fp16_are_refused() -> None:
    """JSON has no sixteen-bit numbers; the sentence says what to do."""
    with pytest.raises(BadTensor, match="send it as packed bytes"):
        parse(contract(Datatype.FP16), x([1, 2, 3], datatype="FP16"))
    with pytest.raises(BadTensor, match="must have datatype FP32, not FP16"):
        parse(contract(), x([1, 2, 3], datatype="FP16"))


REQUIRED = Feature(name="age", input="x", column=1)


@pytest.mark.parametrize("datatype", ["FP16", "FP32", "FP64"])
def test_a_packed_nan_is_a_missing_value(datatype: str) -> None:
    """NaN in a feature that must be there is refused; elsewhere it is a number like any other."""
    reads = contract(Datatype(datatype), features=[REQUIRED])

    def send(*values: float) -> None:
        head = tensor("x", datatype, [1, 3])
        sent, json_bytes = framed([(head, packed(datatype, values))])
        read(reads, sent, json_bytes)

    send(math.nan, math.inf, math.nan)
    with pytest.raises(BadTensor, match="'age' is missing"):
        send(1.0, math.nan, 1.0)


_ODD = """
import json
from tests.serve.protocol.test_packed import REQUIRED, contract, framed, packed, read, tensor
from registry.signature import Datatype
reads = contract(Datatype.FP64, features=[REQUIRED])
for spaces in range(8):
    sent, at = framed([(tensor("x", "FP64", [20, 3]), packed("FP64", [1.0] * 60))])
    read(reads, sent[:at] + b" " * spaces + sent[at:], at + spaces)
print("read")
"""


def test_packed_values_may_lie_at_any_byte() -> None:
    """Some processors load numbers from even places only; the JSON before them has any length."""
    done = subprocess.run(
        [sys.executable, "-c", _ODD],
        env={**os.environ, "OPENBLAS_CORETYPE": "Prescott"},
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert (done.returncode, done.stdout) == (0, "read\n"), done.stderr


def test_a_feature_of_a_tensor_without_sizes() -> None:
    """The one element of a scalar input is its first column."""
    reads = contract(shape=(), features=[Feature(name="age", input="x")])
    sent, head = framed([(tensor("x", "FP32", []), packed("FP32", [math.nan]))])

    with pytest.raises(BadTensor, match="'age' is missing"):
        read(reads, sent, head)
    assert parse(reads, x([7], [])).inputs[0].tolist() == 7.0


def test_packed_groups() -> None:
    """Extra inputs may be packed like the model's own."""
    sent, head = framed(
        [(x_head(), THREE), (tensor("sex", "BYTES", [1, 1]), packed("BYTES", ["f"]))]
    )

    assert read(contract(groups=["sex"]), sent, head).groups["sex"].tolist() == ["f"]


TWO = contract_of(
    [TensorSpec(name="x", datatype=Datatype.FP32, shape=(-1, 3))],
    [Y, TensorSpec(name="z", datatype=Datatype.BYTES, shape=(-1,))],
)
ANSWER = (np.array([[1.5]], np.float32), np.array(["é"], dtype=object))


@pytest.mark.parametrize(
    ("more", "wanted"),
    [
        pytest.param({}, [False, False], id="json-by-default"),
        pytest.param({"parameters": {"binary_data_output": True}}, [True, True], id="all"),
        pytest.param({"parameters": {"binary_data_output": False}}, [False, False], id="none"),
        pytest.param(
            {
                "outputs": [{"name": "y"}, {"name": "z", "parameters": {"binary_data": False}}],
                "parameters": {"binary_data_output": True},
            },
            [True, False],
            id="all-but-one",
        ),
        pytest.param(
            {"outputs": [{"name": "y", "parameters": {"binary_data": True}}, {"name": "z"}]},
            [True, False],
            id="only-one",
        ),
    ],
)
def test_each_output_comes_as_it_is_wanted(more: dict[str, Any], wanted: list[bool]) -> None:
    """An output's own wish counts before that of the whole request."""
    request = parse(TWO, x([1, 2, 3]), **more)
    answer, head = http_answer.write("credit", "1", None, {}, TWO.outputs(request, ANSWER))

    told = orjson.loads(answer[:head])["outputs"]
    assert ["parameters" in output for output in told] == wanted
    assert (head is not None) == any(wanted)
    blobs = answer[head:] if head is not None else b""
    assert blobs == b"".join(
        packed(output["datatype"], values.ravel().tolist())
        for output, values, binary in zip(told, ANSWER, wanted, strict=True)
        if binary
    )


@given(st.data())
def test_a_body_cut_in_two_anywhere_never_passes_for_another(data: st.DataObject) -> None:
    """No header length but the right one makes a request of a framed body."""
    sent, head = framed([(x_head(), THREE)], id="mine")
    wrong = data.draw(st.integers(1, len(sent)).filter(lambda size: size != head))

    with pytest.raises(BadInput):
        read(contract(), sent, wrong)
