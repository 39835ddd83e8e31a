"""However a request is sent, it is the same request; whatever is wrong with it, the same error."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from configs.errors import WeirError
from registry.card import Feature
from registry.signature import Datatype, TensorSpec
from serve.protocol import grpc_answer, grpc_request, http_answer
from serve.protocol.contract import Contract, InferRequest
from tests.serve.protocol.encoders import framed, message, packed, tensor, unpacked
from tests.serve.protocol.requests import body, contract, contract_of, read
from tests.serve.protocol.test_tensors import same, tensors

Sent = dict[str, Any]


def over_json(reads: Contract, sent: Sent) -> InferRequest:
    """Read a request of JSON values."""
    more = {key: sent[key] for key in sent if key != "inputs"}
    return read(reads, body(*sent["inputs"], **more))


def over_packed(reads: Contract, sent: Sent) -> InferRequest:
    """Read a request whose elements stand behind its JSON."""
    more = {key: sent[key] for key in sent if key != "inputs"}
    inputs: list[tuple[Sent, bytes | None]] = [
        (
            {key: each[key] for key in each if key != "data"},
            packed(each["datatype"], each["data"]),
        )
        for each in sent["inputs"]
    ]
    return read(reads, *framed(inputs, **more))


def over_grpc(reads: Contract, sent: Sent) -> InferRequest:
    """Read a message of typed contents."""
    return reads.fit(grpc_request.read(message(sent)))


def over_raw_grpc(reads: Contract, sent: Sent) -> InferRequest:
    """Read a message of raw contents."""
    return reads.fit(grpc_request.read(message(sent, raw=True)))


def flat(name: str, datatype: Datatype, array: NDArray[Any]) -> Sent:
    """A JSON tensor whose elements are not nested."""
    return tensor(name, datatype, array.shape, data=array.ravel().tolist())


@settings(max_examples=50)
@given(st.lists(tensors(list(Datatype)), min_size=1, max_size=3), st.sampled_from(["", "mine"]))
def test_one_request_in_five_forms(
    given_: list[tuple[Datatype, NDArray[Any]]], request_id: str
) -> None:
    """Nested, flat and packed JSON, typed and raw gRPC: all give the identical request."""
    named = [(f"x{place}", *each) for place, each in enumerate(given_)]
    reads = contract_of(
        [TensorSpec(name=n, datatype=d, shape=(1, *(-1 for _ in a.shape))) for n, d, a in named],
        [TensorSpec(name="y", datatype=Datatype.FP32, shape=(1,))],
    )
    arrays = [array.reshape(1, *array.shape) for _, _, array in named]
    sent: Sent = {
        "inputs": [flat(n, d, a) for (n, d, _), a in zip(named, arrays, strict=True)],
        **({"id": request_id} if request_id else {}),
    }
    nested = {
        **sent,
        "inputs": [
            {**each, "data": a.tolist()} for each, a in zip(sent["inputs"], arrays, strict=True)
        ],
    }
    forms = [over_packed(reads, sent), over_raw_grpc(reads, sent)]
    if all(datatype is not Datatype.FP16 for _, datatype, _ in named):
        forms += [over_json(reads, sent), over_json(reads, nested), over_grpc(reads, sent)]

    for form in forms:
        assert (form.id, form.rows, form.groups) == (request_id or None, 1, {})
        assert [output.place for output in form.outputs] == [0]
        assert all(same(got, want) for got, want in zip(form.inputs, arrays, strict=True))


@settings(max_examples=50)
@given(st.lists(tensors(list(Datatype)), min_size=1, max_size=3))
def test_one_answer_in_three_forms(given_: list[tuple[Datatype, NDArray[Any]]]) -> None:
    """JSON, packed and gRPC answers carry the same names, datatypes, shapes and elements."""
    specs = [
        TensorSpec(name=f"y{place}", datatype=datatype, shape=array.shape)
        for place, (datatype, array) in enumerate(given_)
    ]
    writes = contract_of([TensorSpec(name="x", datatype=Datatype.FP32, shape=(1,))], specs)
    answer = tuple(array for _, array in given_)
    request = over_json(writes, {"inputs": [tensor("x", "FP32", [1], data=[1])], "id": "mine"})
    said = {"weir_arm": "stable"}

    def http(binary: bool) -> tuple[dict[str, Any], bytes]:
        wanted = writes.outputs(request._replace(outputs=writes._all[binary]), answer)
        sent, head = http_answer.write("credit", "1", request.id, said, wanted)
        return orjson.loads(sent[:head]), sent[head:] if head is not None else b""

    plain, _ = http(False)
    heads, blobs = http(True)
    told = grpc_answer.write("credit", "1", request.id, said, writes.outputs(request, answer))

    assert {key: plain[key] for key in plain if key != "outputs"} == {
        key: heads[key] for key in heads if key != "outputs"
    }
    assert (told.model_name, told.model_version, told.id) == ("credit", "1", "mine")
    assert told.parameters["weir_arm"].string_param == "stable"
    assert b"".join(told.raw_output_contents) == blobs
    for place, (datatype, array) in enumerate(given_):
        values = array.ravel().tolist()
        output, raw = told.outputs[place], told.raw_output_contents[place]
        back = np.array(plain["outputs"][place].pop("data"), array.dtype).reshape(array.shape)
        assert same(back, array)
        assert plain["outputs"][place] == tensor(f"y{place}", datatype, array.shape)
        assert (output.name, output.datatype) == (f"y{place}", datatype)
        assert tuple(output.shape) == array.shape
        assert heads["outputs"][place]["parameters"] == {"binary_data_size": len(raw)}
        assert unpacked(datatype, raw) == values


def x(data: list[Any], shape: list[int], datatype: str = "FP32", **more: object) -> Sent:
    """The tensor `x`."""
    return {**tensor("x", datatype, shape, **more), "data": data}


GOOD = x([1.0, 2.0, 3.0], [1, 3])
AGE = Feature(name="age", input="x", column=0)
READS = contract(features=[AGE], groups=["sex"])
INT8 = contract(Datatype.INT8)
TEXTS = contract(Datatype.BYTES)
LONG = "n" * 10_000
VALUES = (over_json, over_grpc)
PACKED = (over_packed, over_raw_grpc)
ALL = (*VALUES, *PACKED)

FAULTS = [
    pytest.param(READS, {"inputs": [{**GOOD, "name": "w"}]}, ALL, id="unknown-input"),
    pytest.param(READS, {"inputs": [{**GOOD, "name": LONG}]}, ALL, id="long-name"),
    pytest.param(READS, {"inputs": [{**x([1.0], [-1]), "name": LONG}]}, ALL, id="long-and-wrong"),
    pytest.param(READS, {"inputs": [GOOD, GOOD]}, ALL, id="twice"),
    pytest.param(READS, {"inputs": [x([1.0], [1, 1])]}, ALL, id="shape"),
    pytest.param(READS, {"inputs": [x([1.0], [1])]}, ALL, id="dimensions"),
    pytest.param(READS, {"inputs": [x([1.0], [-1, 3])]}, ALL, id="negative"),
    pytest.param(READS, {"inputs": [x([1.0], [2**31, 3])]}, ALL, id="huge"),
    pytest.param(READS, {"inputs": [x([1.0], [1] * 65)]}, ALL, id="many-sizes"),
    pytest.param(READS, {"inputs": [x([1], [1, 3], "INT64")]}, ALL, id="datatype"),
    pytest.param(READS, {"inputs": [x([1.0], [1, 3], "FP16")]}, ALL, id="fp16-for-fp32"),
    pytest.param(READS, {"inputs": [x([1.0, 2.0], [1, 3])]}, VALUES, id="too-few"),
    pytest.param(READS, {"inputs": [x([1.0] * 4, [1, 3])]}, VALUES, id="too-many"),
    pytest.param(READS, {"inputs": [x([], [1, 3])]}, VALUES, id="none"),
    pytest.param(READS, {"inputs": [x([1.0, 2.0], [1, 3])]}, PACKED, id="too-few-bytes"),
    pytest.param(READS, {"inputs": [x([float("nan")] * 3, [1, 3])]}, PACKED, id="nan"),
    pytest.param(INT8, {"inputs": [x([1, 2, 128], [1, 3], "INT8")]}, VALUES, id="range"),
    pytest.param(INT8, {"inputs": [x([1, 2], [1, 3], "INT8")]}, VALUES, id="too-few-int8"),
    pytest.param(TEXTS, {"inputs": [x(["a"], [1, 3], "BYTES")]}, VALUES, id="too-few-strings"),
    pytest.param(TEXTS, {"inputs": [x(["a"], [1, 3], "BYTES")]}, PACKED, id="strings-missing"),
    pytest.param(
        contract(Datatype.FP16), {"inputs": [x([1.0] * 3, [1, 3], "FP16")]}, VALUES, id="fp16"
    ),
    pytest.param(
        READS,
        {"inputs": [GOOD, tensor("sex", "BYTES", [2], data=["f", "m"])]},
        ALL,
        id="group-rows",
    ),
    pytest.param(
        READS, {"inputs": [GOOD, tensor("sex", "INT64", [1], data=[1])]}, ALL, id="group-datatype"
    ),
    pytest.param(
        READS,
        {"inputs": [GOOD, tensor("sex", "BYTES", [1, 1, 1], data=["f"])]},
        ALL,
        id="group-shape",
    ),
    pytest.param(
        READS, {"inputs": [tensor("sex", "BYTES", [1], data=["f"])]}, ALL, id="missing-input"
    ),
    pytest.param(READS, {"inputs": [GOOD], "outputs": [{"name": "w"}]}, ALL, id="unknown-output"),
    pytest.param(READS, {"inputs": [GOOD], "outputs": [{"name": LONG}]}, ALL, id="long-output"),
    pytest.param(READS, {"inputs": [GOOD], "outputs": [{"name": "y"}] * 2}, ALL, id="output-twice"),
    pytest.param(READS, {"inputs": [GOOD], "parameters": {"timeout": -1}}, ALL, id="timeout"),
    pytest.param(READS, {"inputs": [GOOD], "parameters": {"sequence_id": 1}}, ALL, id="sequence"),
    pytest.param(
        READS,
        {"inputs": [{**GOOD, "parameters": {"shared_memory_region": "r"}}]},
        VALUES,
        id="shared-memory",
    ),
    pytest.param(READS, {"inputs": []}, ALL, id="no-inputs"),
]


@pytest.mark.parametrize(("reads", "sent", "ways"), FAULTS)
def test_one_fault_has_one_error(
    reads: Contract, sent: Sent, ways: tuple[Callable[[Contract, Sent], InferRequest], ...]
) -> None:
    """Class, code and sentence do not depend on how a faulty request was sent."""
    told = []
    for way in ways:
        with pytest.raises(WeirError) as caught:
            way(reads, sent)
        told.append((type(caught.value), caught.value.code, caught.value.message))

    assert len(set(told)) == 1, told
    assert len(told[0][2]) < 1000
