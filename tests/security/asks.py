"""Everything that is asked of a gateway with canaries, so that they meet every way through it."""

from __future__ import annotations

from hashlib import sha256
from typing import Any

import numpy as np
from onnx import ModelProto, helper, numpy_helper

from registry.keys import Token
from serve.edge.grpc_calls import METHODS
from serve.protocol import inference_pb2 as messages
from serve.protocol.paths import POSTED, Ask
from tests.gateway.asking import tensor
from tests.registry import models
from tests.security.planted import BODY_MAX_BYTES, Planted

INFER = "/v2/models/{}/infer"
_GOOD = {"inputs": [tensor([[1, 2, 3]])]}
_TURNS = 500_000  # About half a second.
_SHORT_MS = "20"
_SLOW = {"inputs": [tensor([[_TURNS, 0, 0]])]}
_FAILS = {"inputs": [tensor([[7, 7, 7]])]}


def all_of(planted: Planted) -> None:
    """Ask for everything that there is, rightly and wrongly."""
    _every_path(planted)
    _good_inference(planted)
    _bad_inference(planted)
    _bad_headers(planted)
    _every_method(planted)
    _calls_of_inference(planted)
    _every_control_route(planted)
    _models_that_are_refused(planted)


def _stranger(planted: Planted) -> str:
    """A well-formed token that was never given out."""
    known = planted.client.split("_")[1]
    secret = planted.canaries.word("a stranger's secret").removeprefix("cn").ljust(64, "0")
    planted.canaries.know("a stranger's secret", secret)
    return Token(known, secret).text()


def _every_path(planted: Planted) -> None:
    """Every path of inference: for one that may, one that is unknown; with names that are none."""
    word, name = planted.canaries.word, planted.canaries.name
    unknown, segment = name("the name of a model"), word("a segment of a path")
    for what in Ask:
        method = "POST" if what in POSTED else "GET"
        path = what.value.replace("{model}", "numbers")
        content: object = _GOOD if what in (Ask.INFER, Ask.EXPLAIN) else b""
        planted.ask(path, content, method=method)
        planted.ask(path, content, method=method, key=_stranger(planted))
        planted.ask(path, content, method=method, key=word("a malformed key"))
        planted.ask(path, content, method="PUT")
        planted.ask(what.value.replace("{model}", unknown), content, method=method)
        planted.ask(f"{path}/{segment}/{segment}", content, method=method)
    version = name("the name of a version")
    planted.ask(f"/v2/models/numbers/versions/{version}/infer", _GOOD)
    planted.ask(f"/v2/models/numbers/versions/{version}", method="GET")
    planted.ask(f"/{word('a path')}/{word('a path below')}", method="GET")


def _good_inference(planted: Planted) -> None:
    """Answers that hold what was sent, as values and packed."""
    word = planted.canaries.word
    planted.ask(INFER.format("numbers"), {**_GOOD, "id": word("the id of a request")})
    planted.ask(
        INFER.format("numbers"), {**_GOOD, "parameters": {word("a parameter"): word("its value")}}
    )
    text = {"name": "x", "datatype": "BYTES", "shape": [1, 1], "data": [word("a string")]}
    planted.ask(INFER.format("words"), {"inputs": [text]})
    packed = word("a packed string").encode()
    planted.ask(INFER.format("words"), packed, Inference_Header_Content_Length="0")


def _bad_inference(planted: Planted) -> None:
    """Bodies that are wrong in one way each, and a model that fails on a good one."""
    word, name = planted.canaries.word, planted.canaries.name
    good: dict[str, Any] = tensor([[1, 2, 3]])
    bodies: list[object] = [
        {"inputs": [{**good, "data": [word("a value of the wrong type"), 2, 3]}]},
        {"inputs": [{**good, "datatype": "BYTES", "data": [word("bytes for numbers")] * 3}]},
        {"inputs": [{**good, "shape": [word("a size")]}]},
        {"inputs": [{**good, "name": name("the name of an input")}]},
        {"inputs": [{**good, name("a key of an input"): word("the value of that key")}]},
        {"inputs": [{**good, "parameters": {"binary_data_size": word("a packed size")}}]},
        {**_GOOD, "outputs": [{"name": name("the name of an output")}]},
        {**_GOOD, name("a key of the request"): word("the value of a key")},
        {**_GOOD, "parameters": {"timeout": word("a time-out")}},
        {**_GOOD, "parameters": {"sequence_id": word("a sequence")}},
        {**_GOOD, "parameters": {"shared_memory_region": word("a region")}},
        {**_GOOD, "id": [word("an id that is a list")]},
        b'{"id": "%s", ' % word("JSON that ends too early").encode(),
        word("no JSON at all").encode(),
        word("a body that is too large").encode() * (BODY_MAX_BYTES // 20),
    ]
    for body in bodies:
        planted.ask(INFER.format("numbers"), body)
    planted.ask(INFER.format("fragile"), {**_FAILS, "id": word("the id of a failure")})


def _bad_headers(planted: Planted) -> None:
    """Headers that mean something and say something else."""
    word = planted.canaries.word
    path = INFER.format("numbers")
    planted.ask(INFER.format("patient"), _SLOW, Weir_Timeout_Ms=_SHORT_MS)
    planted.ask(path, _GOOD, Weir_Timeout_Ms=word("a time-out in a header"))
    planted.ask(path, _GOOD, Content_Encoding=word("an encoding"))
    planted.ask(path, word("no gzip").encode(), Content_Encoding="gzip")
    planted.ask(path, _GOOD, Inference_Header_Content_Length=word("a length"))
    planted.ask(path, _GOOD, traceparent=word("a malformed traceparent"))
    planted.ask(path, _GOOD, Accept_Encoding=word("a wished encoding"))


def _every_method(planted: Planted) -> None:
    """Every method over gRPC: for one that may, one that is unknown, of a model that is none."""
    name = planted.canaries.name("the name of a model in a call")
    for method, made in METHODS.items():
        fields = {each.name for each in made.takes.DESCRIPTOR.fields}
        known = {each: "numbers" for each in ("name", "model_name") if each in fields}
        planted.call(method, made.takes(**known))
        planted.call(method, made.takes(**known), _stranger(planted))
        planted.call(method, made.takes(**dict.fromkeys(known, name)))


def _calls_of_inference(planted: Planted) -> None:
    """Inference over gRPC: good, wrong in several ways, too late, and by a model that fails."""
    word, name = planted.canaries.word, planted.canaries.name
    values = messages.InferTensorContents
    wrong = [
        _row(name("the name of an input in a call"), values(fp32_contents=[1, 2, 3])),
        _row("x", values(bytes_contents=[word("a string in a call").encode()]), "BYTES"),
        _row("x", values(bytes_contents=[word("a string for numbers").encode()])),
        _row("x", values(fp32_contents=[7, 7, 7]), model="fragile"),
        _row("x", values(fp32_contents=[1, 2, 3]), model_version=name("a version in a call")),
    ]
    packed = _row("x", values())
    packed.raw_input_contents.append(word("packed bytes in a call").encode())
    for sent in (*wrong, packed):
        sent.id = word("the id of a call")
        sent.parameters["key"].string_param = word("a parameter of a call")
        planted.call("ModelInfer", sent)
    good = _row("x", values(fp32_contents=[1, 2, 3]))
    planted.call("ModelInfer", good)
    slow = _row("x", values(fp32_contents=[_TURNS, 0, 0]), model="patient")
    planted.call("ModelInfer", slow, weir_timeout_ms=_SHORT_MS)
    planted.call("ModelInfer", good, weir_timeout_ms=word("a time-out in metadata"))
    text = values(bytes_contents=[word("a string that is answered").encode()])
    echoed = _row("x", text, "BYTES", model="words")
    echoed.inputs[0].shape[:] = [1, 1]
    planted.call("ModelInfer", echoed)


def _row(
    name: str,
    contents: messages.InferTensorContents,
    datatype: str = "FP32",
    model: str = "numbers",
    model_version: str = "",
) -> messages.ModelInferRequest:
    given = messages.ModelInferRequest.InferInputTensor(
        name=name, datatype=datatype, shape=[1, 3], contents=contents
    )
    return messages.ModelInferRequest(model_name=model, model_version=model_version, inputs=[given])


def _every_control_route(planted: Planted) -> None:
    """Every route of the control API, by its own description, with what does not belong there."""
    word, name = planted.canaries.word, planted.canaries.name
    port = planted.gateway.control_port
    described = planted.http.get(f"{planted.url(port)}/openapi.json").json()
    wrong = {name("a key of a change"): word("the value of a key of a change")}
    typed = dict.fromkeys(
        ("weights", "version", "what", "role", "artifact"), word("a wrong change")
    )
    more = {
        "Idempotency_Key": word("the key of a change"),
        "Weir_Actor": word("an actor that is not believed"),
        "If_Match": word("a condition"),
        "Accept": word("a wished type"),
        "Content_Encoding": word("the encoding of a file"),
    }
    of_model, of_key = name("a model of a change"), name("the id of a key")
    of_alarm, of_rollout = name("the id of an alarm"), name("the id of a rollout")
    query = f"?t={word('a moment')}&after={word('a place')}&limit={word('a limit')}"
    query += f"&state={word('a state of alarms')}"
    for template, methods in described["paths"].items():
        path = template.replace("{key_id}", of_key).replace("{alarm_id}", of_alarm)
        path = path.replace("{rollout_id}", of_rollout)
        for method in map(str.upper, methods):
            for model in ("numbers", of_model):
                where = path.replace("{model}", model)
                for body in (wrong, typed, word("a change that is no JSON").encode()):
                    sent = b"" if method == "GET" else body
                    for key in (planted.admin, planted.client, _stranger(planted)):
                        planted.ask(where, sent, method=method, key=key, port=port, **more)
                        more["Idempotency_Key"] += "+"
        planted.ask(path + query, method="GET", key=planted.admin, port=port)
        planted.ask(path, method="PATCH", key=planted.admin, port=port)
    planted.ask(f"/v1/{word('a path of the control port')}", key=planted.admin, port=port)
    planted.ask("/v1/keys", b"x" * (2**20 + 1), key=planted.admin, port=port)


def _models_that_are_refused(planted: Planted) -> None:
    """A model whose run goes wrong while it is checked, and a file that is none."""
    port, key = planted.gateway.control_port, planted.admin
    for content in (_misshapen().SerializeToString(), b"no model"):
        digest = f"sha256:{sha256(content).hexdigest()}"
        planted.ask("/v1/artifacts", content, key=key, port=port)
        planted.ask("/v1/models/refused/versions", {"artifact": digest}, key=key, port=port)


def _misshapen() -> ModelProto:
    """A model that reshapes three numbers into 35, of which the runtime complains at length."""
    return models.model(
        [helper.make_node("Reshape", ["x", "shape"], ["y"])],
        [models.tensor("x", ["N", 3])],
        [models.tensor("y", ["N", 7])],
        [numpy_helper.from_array(np.array([5, 7], np.int64), "shape")],
    )
