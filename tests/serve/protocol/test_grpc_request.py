"""gRPC messages become the tensors they say, or are refused with the reason."""

from __future__ import annotations

import math
from typing import Any

import pytest

from configs.errors import BadInput, BadTensor
from registry.card import Feature
from registry.signature import Datatype
from serve.protocol import grpc_request
from serve.protocol.contract import Contract, InferRequest
from serve.protocol.inference_pb2 import ModelInferRequest
from tests.serve.protocol.encoders import message, packed
from tests.serve.protocol.requests import contract, x


def read(reads: Contract, sent: ModelInferRequest) -> InferRequest:
    """What a contract makes of a message."""
    return reads.fit(grpc_request.read(sent))


def vector(datatype: str, data: list[Any]) -> dict[str, Any]:
    """A request of one vector."""
    return {"inputs": [x(data, [len(data)], datatype)]}


@pytest.mark.parametrize(
    ("datatype", "good", "bad"),
    [
        pytest.param("INT8", [-128, 127], [-129, 128], id="INT8"),
        pytest.param("INT16", [-(2**15), 2**15 - 1], [-(2**15) - 1, 2**15], id="INT16"),
        pytest.param("UINT8", [0, 255], [256, 2**32 - 1], id="UINT8"),
        pytest.param("UINT16", [0, 65535], [65536, 2**32 - 1], id="UINT16"),
    ],
)
def test_narrow_integers_travel_in_wider_fields(
    datatype: str, good: list[int], bad: list[int]
) -> None:
    """The field would hold more than the datatype: what does not fit is refused, never wrapped."""
    reads = contract(Datatype(datatype), (-1,))

    assert read(reads, message(vector(datatype, good))).inputs[0].tolist() == good
    for number in bad:
        with pytest.raises(BadTensor, match=f"does not fit {datatype}"):
            read(reads, message(vector(datatype, [number])))


def test_fp16_comes_raw_only() -> None:
    """There is no field for it; the sentence says what to do."""
    reads = contract(Datatype.FP16)
    sent = {"inputs": [x([1.0, 2.0, 3.0], [1, 3], "FP16")]}

    assert read(reads, message(sent, raw=True)).inputs[0].tolist() == [[1.0, 2.0, 3.0]]
    with pytest.raises(BadTensor, match="FP16 cannot be sent as values"):
        read(reads, message(sent))


@pytest.mark.parametrize("raws", [2, 3])
def test_there_are_as_many_raw_contents_as_inputs(raws: int) -> None:
    """Which of them belongs to which input could not be known otherwise."""
    sent = message({"inputs": [x([1.0, 2.0, 3.0], [1, 3])]}, raw=True)
    sent.raw_input_contents.extend([b""] * (raws - 1))

    with pytest.raises(BadInput, match=f"{raws} raw_input_contents for 1 inputs"):
        read(contract(), sent)


def test_elements_come_one_way() -> None:
    """An input with both raw and typed elements is refused."""
    sent = message({"inputs": [x([1.0, 2.0, 3.0], [1, 3])]}, raw=True)
    sent.inputs[0].contents.fp32_contents.append(1.0)

    with pytest.raises(BadTensor, match="both contents and raw_input_contents"):
        read(contract(), sent)


def test_empty_contents_beside_raw_ones_are_none() -> None:
    """Clients that always make the message are understood."""
    sent = message({"inputs": [x([1.0, 2.0, 3.0], [1, 3])]}, raw=True)
    sent.inputs[0].contents.SetInParent()

    assert read(contract(), sent).inputs[0].tolist() == [[1.0, 2.0, 3.0]]


def test_elements_in_the_wrong_field_are_not_there() -> None:
    """The datatype decides which field counts."""
    sent = message({"inputs": [x([1.0, 2.0, 3.0], [1, 3])]})
    sent.inputs[0].contents.fp64_contents.extend(sent.inputs[0].contents.fp32_contents)
    del sent.inputs[0].contents.fp32_contents[:]

    with pytest.raises(BadTensor, match="has 0 values"):
        read(contract(), sent)


@pytest.mark.parametrize("raw", [True, False])
@pytest.mark.parametrize("datatype", ["FP32", "FP64"])
def test_nan_is_a_missing_value(datatype: str, raw: bool) -> None:
    """NaN in a feature that must be there is refused in either form, elsewhere it passes."""
    reads = contract(Datatype(datatype), features=[Feature(name="age", input="x", column=1)])

    def send(*data: float) -> InferRequest:
        return read(reads, message({"inputs": [x(list(data), [1, 3], datatype)]}, raw=raw))

    assert math.isnan(send(math.nan, 1.0, math.inf).inputs[0][0, 0])
    with pytest.raises(BadTensor, match="'age' is missing"):
        send(1.0, math.nan, 1.0)


@pytest.mark.parametrize("raw", [True, False])
def test_strings_that_are_not_utf8(raw: bool) -> None:
    """The strings of a model are text, so bytes that are none are refused."""
    sent = message(vector("BYTES", ["a"]), raw=raw)
    if raw:
        sent.raw_input_contents[0] = packed("BYTES", [b"\xff"])
    else:
        sent.inputs[0].contents.bytes_contents[0] = b"\xff"

    with pytest.raises(BadTensor, match="'x' has a string that is not UTF-8"):
        read(contract(Datatype.BYTES, (-1,)), sent)


def test_a_parameter_without_a_value_is_none() -> None:
    """A name that has no choice set says nothing."""
    sent = message({"inputs": [x([1.0, 2.0, 3.0], [1, 3])]})
    sent.parameters["timeout"].SetInParent()
    sent.parameters["other"].uint64_param = 2**64 - 1

    assert grpc_request.read(sent).timeout_s is None
    sent.parameters["timeout"].uint64_param = 5_000_000
    assert grpc_request.read(sent).timeout_s == 5.0


def test_a_message_without_inputs() -> None:
    """The empty message is refused as the empty JSON is."""
    with pytest.raises(BadInput, match="'inputs' must be a list with at least one tensor"):
        grpc_request.read(ModelInferRequest())


def test_an_empty_id_is_none() -> None:
    """Protobuf cannot tell them apart."""
    sent = {"inputs": [x([1.0, 2.0, 3.0], [1, 3])]}

    assert grpc_request.read(message(sent)).id is None
    assert grpc_request.read(message({**sent, "id": "mine"})).id == "mine"
