"""Bodies and messages that are nearly right, or made to cost much, end in an answer or an error.

The `hostile` runs try very many of them; the others a few hundred.
"""

from __future__ import annotations

import json
import tracemalloc
from collections.abc import Callable
from copy import deepcopy
from typing import Any

import pytest
from google.protobuf.message import DecodeError
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from configs.errors import WeirError
from registry.card import Feature
from registry.signature import Datatype, TensorSpec
from serve.protocol import grpc_request
from serve.protocol.contract import Contract
from serve.protocol.inference_pb2 import ModelInferRequest
from tests.serve.protocol.encoders import message, packed, tensor
from tests.serve.protocol.requests import Y, contract, contract_of, read

FEATURES = (
    Feature(name="age", input="x", column=0),
    Feature(name="income", input="x", column=1, nullable=True),
)
MODELS = [
    contract(features=FEATURES, groups=["sex"]),
    contract(Datatype.BYTES, (-1, -1)),
    contract(Datatype.BOOL, ()),
    contract(Datatype.FP16, (-1, -1, -1, -1), features=FEATURES[:1]),
    contract_of(
        [
            TensorSpec(name="x", datatype=Datatype.INT64, shape=(-1,)),
            TensorSpec(name="w", datatype=Datatype.UINT8, shape=(-1, 2)),
        ],
        [Y, TensorSpec(name="z", datatype=Datatype.BYTES, shape=(-1,))],
    ),
]
_SEX = tensor("sex", "BYTES", [1], data=["f"])
REQUESTS: list[dict[str, Any]] = [
    {"inputs": [tensor("x", "FP32", [1, 3], data=[1.0, 2.0, 3.0]), _SEX], "id": "mine"},
    {"inputs": [tensor("x", "FP32", [2, 3], data=[1.0] * 6)], "outputs": [{"name": "y"}]},
    {"inputs": [tensor("x", "BYTES", [1, 2], data=["a", "é"])]},
    {"inputs": [tensor("x", "BOOL", [], data=[True])]},
    {"inputs": [tensor("x", "FP16", [1, 1, 1, 2], data=[0.5, 1.0])]},
    {
        "inputs": [
            tensor("w", "UINT8", [2, 2], data=[1, 2, 3, 4]),
            tensor("x", "INT64", [2], data=[-1, 1]),
        ],
        "outputs": [{"name": "z"}, {"name": "y", "parameters": {"classification": 1}}],
        "parameters": {"timeout": 5, "binary_data_output": True},
    },
]


def nested(depth: int) -> Any:
    """A list in a list in a list."""
    made: list[Any] = []
    for _ in range(depth):
        made = [made]
    return made


NASTY: list[Any] = [
    *(None, True, False, -1, 0, 1, 2, 12, 13, 255, 2**31 - 1, 2**31, 2**32, 2**63, 2**64 - 1),
    *(-(2**63), 1.5, -0.0, 1e308, "", "x", "y", "sex", "\x00", "é", "n" * 2000, "@big", "@twice"),
    *("FP32", "BYTES", "BOOL", "FP16", "INT64", "BF16", [], {}, [[]], [0], [-1], [True], [None]),
    *([2**31 - 1] * 4, [0, *[2**31 - 1] * 3], [1] * 65, {"a": None}, {"": 1}, {"@twice": 1}),
    *(nested(100), nested(900), nested(1015), [[1, 2, 3]], [[1.0], 2.0], ["\ud800"], [{}]),
]
"""Values that do not belong where they are put; `@` marks are replaced in the text."""
KEYS = {
    "request": ["inputs", "outputs", "id", "parameters", "model_name", "other"],
    "input": ["name", "datatype", "shape", "data", "parameters", "other"],
    "size": ["binary_data_size", "shared_memory_region", "other"],
    "output": ["name", "parameters", "other"],
    "wish": ["classification", "binary_data", "timeout", "sequence_id", "binary_data_output"],
}
MARKS = [(b'"@big"', b"1" + b"0" * 400), (b'"@twice"', b'"x","name":"x","name":"y"')]
SIZES = [-1, 0, 1, 3, 4, 11, 13, 24, 2**31, 2**63, True, 1.5, "12", None]
EDITS = ["none", "none", "flip", "cut", "drop", "double", "insert", "swap"]
BITS = [b"\x00", b"\xff", b"[", b"]", b"{", b"}", b'"', b",", b":", b"9" * 30, b"-", b"\\u", b"e"]


# Made once: making a strategy costs more than drawing from it.
_REQUEST = st.sampled_from(REQUESTS)
_MESSAGE = st.sampled_from(
    [message(each, raw=raw).SerializeToString() for each in REQUESTS for raw in (True, False)]
)
_YES = st.booleans()
_UP_TO_2 = st.integers(0, 2)
_UP_TO_5 = st.integers(0, 5)
_ANYWHERE = st.integers(0, 1023)
_LENGTH = st.integers(1, 16)
_BIT = st.integers(0, 7)
_SIZE = st.sampled_from(SIZES)
_NASTY = st.sampled_from(NASTY)
_WHERE = st.sampled_from([*KEYS, "repeat", "remove"])
_KEY = {where: st.sampled_from(keys) for where, keys in KEYS.items()}
_EDIT = st.sampled_from(EDITS)
_PIECE = st.sampled_from(BITS)
_SAID = st.sampled_from(["none", "none", "none", "raw", "whole"])
_OFF = st.sampled_from([0, 0, 0, 0, -1, 1, -7, 7, 10**11])


@st.composite
def bodies(draw: st.DrawFn) -> tuple[bytes, int | None]:
    """A good request with a few faults, and what is said to be the length of its JSON."""
    request: dict[str, Any] = deepcopy(draw(_REQUEST))
    blobs = [_pack(draw, each) for each in request["inputs"]] if draw(_YES) else []
    for _ in range(draw(_UP_TO_2)):
        _spoil(draw, request)
    head = json.dumps(request).encode("utf-8", "surrogatepass")
    for mark, text in MARKS:
        head = head.replace(mark, text)
    sent = edited(draw, head + b"".join(blobs))
    if not blobs:
        return sent, {"none": None, "raw": 0, "whole": len(head)}[draw(_SAID)]
    return sent, max(0, len(head) + draw(_OFF))


def _pack(draw: st.DrawFn, given_: dict[str, Any]) -> bytes:
    """Move a tensor's elements behind the JSON, mostly with their right size."""
    blob = packed(given_["datatype"], given_.pop("data"))
    wrong = draw(_UP_TO_5) == 0
    size = draw(_SIZE) if wrong else len(blob)
    given_["parameters"] = {"binary_data_size": size}
    return blob


def _spoil(draw: st.DrawFn, request: dict[str, Any]) -> None:
    """Put a value where it does not belong, or repeat or take away a tensor."""
    where = draw(_WHERE)
    inputs = request.get("inputs")
    if not isinstance(inputs, list) or not inputs or not isinstance(inputs[0], dict):
        return
    place = draw(_UP_TO_2) % len(inputs)
    if where in ("repeat", "remove"):
        inputs[place : place + 1] = [inputs[place]] * (2 * (where == "repeat"))
        return
    output = {"name": "y"}
    targets: dict[str, Any] = {
        "request": request,
        "input": inputs[place],
        "size": inputs[place].setdefault("parameters", {}) if where == "size" else {},
        "output": output,
        "wish": output.setdefault("parameters", {}) if where == "wish" else {},  # type: ignore[arg-type]
    }
    target = targets[where]
    if isinstance(target, dict):
        target[draw(_KEY[where])] = _fresh(draw(_NASTY))
    if where in ("output", "wish"):
        request["outputs"] = [output]


def _fresh(value: Any) -> Any:
    """A value of which what can be spoilt further is a copy."""
    return deepcopy(value) if isinstance(value, dict) or value == [{}] else value


def edited(draw: st.DrawFn, sent: bytes) -> bytes:
    """The bytes with one fault, or none."""
    edit = draw(_EDIT)
    if edit == "none" or not sent:
        return sent
    at = draw(_ANYWHERE) % len(sent)
    if edit == "cut":
        return sent[:at]
    if edit == "insert":
        return sent[:at] + draw(_PIECE) + sent[at:]
    if edit == "flip":
        return sent[:at] + bytes([sent[at] ^ (1 << draw(_BIT))]) + sent[at + 1 :]
    end = min(len(sent), at + draw(_LENGTH))
    piece = {"drop": b"", "double": sent[at:end] * 2, "swap": sent[at:end][::-1]}[edit]
    return sent[:at] + piece + sent[end:]


@st.composite
def messages(draw: st.DrawFn) -> bytes:
    """The bytes of a good gRPC message with a few faults."""
    sent = draw(_MESSAGE)
    for _ in range(draw(_UP_TO_2)):
        sent = edited(draw, sent)
    return sent


def decent(call: Callable[[], object]) -> None:
    """Call something that may fail only by the fault of the client, with a sentence."""
    try:
        call()
    except WeirError as raised:
        told = raised
    else:
        return
    assert 400 <= told.status < 500 or told.status == 501
    assert 0 < len(told.message) < 2000


def body_is_answered(reads: Contract, sent: tuple[bytes, int | None]) -> None:
    """Whatever the body, and however long its JSON is said to be, the parser ends well."""
    decent(lambda: read(reads, *sent))


def message_is_answered(reads: Contract, sent: bytes) -> None:
    """Whatever the message says, the parser ends well."""
    try:
        asked = ModelInferRequest.FromString(sent)
    except DecodeError:
        return
    decent(lambda: reads.fit(grpc_request.read(asked)))


A_FEW = settings(max_examples=300)
VERY_MANY = [HealthCheck.too_slow, HealthCheck.data_too_large]
BODIES = (st.sampled_from(MODELS), bodies())
MESSAGES = (st.sampled_from(MODELS), messages())


@A_FEW
@given(*BODIES)
def test_any_body_is_answered(reads: Contract, sent: tuple[bytes, int | None]) -> None:
    """Nothing but an error of the client's ever comes out of a body that is nearly right."""
    body_is_answered(reads, sent)


@A_FEW
@given(*MESSAGES)
def test_any_message_is_answered(reads: Contract, sent: bytes) -> None:
    """Nothing but an error of the client's ever comes out of a message that is nearly right."""
    message_is_answered(reads, sent)


@pytest.mark.hostile
@pytest.mark.timeout(900)
@settings(max_examples=100_000, suppress_health_check=VERY_MANY, database=None)
@given(*BODIES)
def test_a_hundred_thousand_bodies(reads: Contract, sent: tuple[bytes, int | None]) -> None:
    """The same of very many bodies."""
    body_is_answered(reads, sent)


@pytest.mark.hostile
@pytest.mark.timeout(900)
@settings(max_examples=20_000, suppress_health_check=VERY_MANY, database=None)
@given(*MESSAGES)
def test_twenty_thousand_messages(reads: Contract, sent: bytes) -> None:
    """The same of very many messages."""
    message_is_answered(reads, sent)


def one(**fields: Any) -> bytes:
    """The body of a request of one tensor."""
    given_ = {"name": "x", "datatype": "FP32", "shape": [1, 3], "data": [1, 2, 3], **fields}
    return json.dumps({"inputs": [given_]}, separators=(",", ":")).encode()


MANY = 200_000
_EMPTY_STRINGS = bytes(4 * MANY)
_EMPTY_HEAD = one(
    datatype="BYTES",
    shape=[1],
    data=None,
    parameters={"binary_data_size": len(_EMPTY_STRINGS)},
)


@pytest.mark.parametrize(
    ("reads", "sent", "head", "factor"),
    [
        pytest.param(MODELS[0], one(shape=[1] * MANY), None, 16, id="sizes"),
        pytest.param(MODELS[0], one(shape=[2**31 - 1] * MANY), None, 24, id="huge-sizes"),
        pytest.param(MODELS[0], one(data=[[]] * MANY), None, 40, id="empty-lists"),
        pytest.param(MODELS[0], one(datatype=[[]] * MANY), None, 40, id="a-datatype-of-lists"),
        pytest.param(MODELS[0], one(data=[1] * MANY), None, 16, id="values"),
        pytest.param(MODELS[0], one(name="n" * MANY), None, 8, id="a-long-name"),
        pytest.param(MODELS[0], one(**{"k" * MANY: 1}), None, 8, id="a-long-key"),
        pytest.param(MODELS[0], one(datatype="d" * MANY), None, 8, id="a-long-datatype"),
        pytest.param(
            contract(Datatype.BYTES, (-1,)),
            _EMPTY_HEAD + _EMPTY_STRINGS,
            len(_EMPTY_HEAD),
            8,
            id="empty-strings",
        ),
        pytest.param(
            MODELS[0],
            one()[:-1] + b',"outputs":[' + b",".join([b'{"name":"y"}'] * (MANY // 2)) + b"]}",
            None,
            40,
            id="outputs",
        ),
        pytest.param(
            MODELS[0],
            b'{"inputs":[' + b",".join([one()[11:-2]] * (MANY // 20)) + b"]}",
            None,
            40,
            id="inputs",
        ),
    ],
)
def test_memory_is_bounded_by_the_body(
    reads: Contract, sent: bytes, head: int | None, factor: int
) -> None:
    """What a body costs while it is read and refused is a small multiple of its own size."""
    tracemalloc.start()
    try:
        with pytest.raises(WeirError) as refused:
            read(reads, sent, head)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()

    assert peak < factor * len(sent) + 2**20
    assert len(refused.value.message) < 1000


@pytest.mark.parametrize("key", ["name", "datatype", "shape", "data", "parameters"])
def test_the_deepest_json_that_is_read(key: str) -> None:
    """Lists as deep as the reader of JSON allows are too deep to be told, and are not."""
    deep = b"[" * 1010 + b"]" * 1010
    sent = one().replace(b"}]}", b',"%s":%s}]}' % (key.encode(), deep))

    with pytest.raises(WeirError) as refused:
        read(MODELS[0], sent)

    assert refused.value.status == 400
    assert len(refused.value.message) < 200


def test_a_message_of_many_sizes_is_refused_shortly() -> None:
    """The sentence about a shape never tells all of it."""
    sent = message(REQUESTS[0])
    sent.inputs[0].shape.extend([1] * MANY)

    with pytest.raises(WeirError) as refused:
        MODELS[0].fit(grpc_request.read(sent))

    assert len(refused.value.message) < 200
