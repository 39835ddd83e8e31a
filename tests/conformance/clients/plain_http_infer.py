"""Inference in plain HTTP: bodies of JSON, of JSON and bytes, of bytes alone, and compressed."""

from __future__ import annotations

import gzip
import json
import zlib
from typing import Any

import httpx
import numpy as np

from tests.conformance.clients import trying
from tests.conformance.clients.trying import Features

LENGTH = "Inference-Header-Content-Length"
COUNT = np.arange(16, dtype=np.int32).reshape(1, 16)
ONES = np.ones((1, 16), np.int32)


class Answer:
    """The parts of an answer of inference: its JSON, and the bytes of its binary outputs."""

    def __init__(self, response: httpx.Response) -> None:
        assert response.status_code == 200, response.text
        end = int(response.headers.get(LENGTH, len(response.content)))
        self.json: dict[str, Any] = json.loads(response.content[:end])
        self.binary: dict[str, bytes] = {}
        for each in self.json["outputs"]:
            size = each.get("parameters", {}).get("binary_data_size")
            if size is not None:
                self.binary[each["name"]] = response.content[end : end + size]
                end += size
        assert end == len(response.content), "there are bytes that belong to no output"

    def data(self, name: str) -> Any:
        """The data of an output that came as JSON."""
        return next(each["data"] for each in self.json["outputs"] if each["name"] == name)


def collect(feature: Features, http: httpx.Client) -> None:
    """Collect what is asked about inference."""
    _json(feature, http)
    _versions(feature, http)
    _types(feature, http)
    _binary(feature, http)
    _raw(feature, http)
    _compressed(feature, http)


def tensor(name: str, data: Any, kind: str = "INT32", **more: Any) -> dict[str, Any]:
    """One input; its data as JSON unless `parameters` say otherwise."""
    made: dict[str, Any] = {"name": name, "shape": list(data.shape), "datatype": kind}
    return made | (more or {"data": data.tolist()})


def body(**more: Any) -> dict[str, Any]:
    """A request of the model `simple`."""
    return {"inputs": [tensor("INPUT0", COUNT), tensor("INPUT1", ONES)], **more}


def _json(feature: Features, http: httpx.Client) -> None:
    def ask(content: dict[str, Any], model: str = "simple") -> Answer:
        return Answer(http.post(f"/v2/models/{model}/infer", json=content))

    @feature("infer_json")
    def as_json() -> None:
        answer = ask(body())
        assert answer.json["model_name"] == "simple"
        assert answer.json["model_version"] == "1"
        assert answer.data("OUTPUT0") == (COUNT + ONES).ravel().tolist()
        flat = body()
        flat["inputs"][0]["data"] = COUNT.ravel().tolist()
        assert ask(flat).data("OUTPUT1") == (COUNT - ONES).ravel().tolist()

    @feature("default_outputs")
    def default() -> None:
        answer = ask(body())
        assert [each["name"] for each in answer.json["outputs"]] == ["OUTPUT0", "OUTPUT1"]
        assert not answer.binary

    @feature("requested_outputs")
    def requested() -> None:
        answer = ask(body(outputs=[{"name": "OUTPUT1"}, {"name": "OUTPUT0"}]))
        assert [each["name"] for each in answer.json["outputs"]] == ["OUTPUT1", "OUTPUT0"]

    @feature("id")
    def request_id() -> None:
        assert ask(body(id="a-7 é")).json["id"] == "a-7 é"
        assert "id" not in ask(body()).json

    @feature("parameters")
    def parameters() -> None:
        ask(body(parameters={"text": "a", "whole": 3, "flag": True, "real": 0.5}))

    @feature("timeout")
    def timeout() -> None:
        hasty = {"timeout": int(trying.HASTY_S * 1e6)}
        slow = {"inputs": [tensor("x", np.zeros((1, 1)), "FP32")], "parameters": hasty}
        late = http.post("/v2/models/slow/infer", json=slow)
        assert late.status_code == 504, late.text


def _versions(feature: Features, http: httpx.Client) -> None:
    def ask(content: dict[str, Any], model: str = "simple") -> Answer:
        return Answer(http.post(f"/v2/models/{model}/infer", json=content))

    @feature("versioned")
    def versioned() -> None:
        zero = {"inputs": [tensor("x", np.zeros((1, 1)), "FP32")]}
        for version in (1, 2):
            answer = ask(zero, f"versions/versions/{version}")
            assert (answer.json["model_version"], answer.data("y")) == (str(version), [version])

    @feature("alias")
    def alias() -> None:
        zero = {"inputs": [tensor("x", np.zeros((1, 1)), "FP32")]}
        for name, version in (("stable", "1"), ("candidate", "2")):
            assert ask(zero, f"versions/versions/{name}").json["model_version"] == version


def _types(feature: Features, http: httpx.Client) -> None:
    def ask(content: dict[str, Any], model: str = "simple") -> Answer:
        return Answer(http.post(f"/v2/models/{model}/infer", json=content))

    @feature("datatypes_json")
    def datatypes() -> None:
        data = {kind: trying.extremes(kind) for kind in trying.DTYPES}
        inputs = [tensor(f"in_{kind}", each, kind) for kind, each in data.items()]
        answer = ask({"inputs": inputs}, "everything")
        for kind, each in data.items():
            # A shortest decimal of FP32 is none of FP64: it must first be read as what it is.
            assert (
                np.array(answer.data(f"out_{kind}"), each.dtype).tolist() == each.ravel().tolist()
            )

    @feature("bytes_json")
    def text() -> None:
        words = np.array(trying.WORDS, np.object_).reshape(2, 2)
        answer = ask({"inputs": [tensor("in_BYTES", words, "BYTES")]}, "strings")
        assert answer.data("out_BYTES") == list(trying.WORDS)


def _binary(feature: Features, http: httpx.Client) -> None:
    def ask(content: dict[str, Any], *binary: bytes, model: str = "simple") -> Answer:
        head = json.dumps(content).encode()
        # A length says where the JSON ends; nothing says that it is of any type.
        headers = {LENGTH: str(len(head))}
        return Answer(
            http.post(f"/v2/models/{model}/infer", content=head + b"".join(binary), headers=headers)
        )

    def sized(name: str, data: Any) -> dict[str, Any]:
        return tensor(name, data, parameters={"binary_data_size": data.nbytes})

    @feature("infer_binary")
    def binary() -> None:
        content = {"inputs": [sized("INPUT0", COUNT), sized("INPUT1", ONES)]}
        answer = ask(
            content | {"parameters": {"binary_data_output": True}},
            COUNT.tobytes(),
            ONES.tobytes(),
        )
        assert answer.binary["OUTPUT0"] == (COUNT + ONES).tobytes()
        assert answer.binary["OUTPUT1"] == (COUNT - ONES).tobytes()

    @feature("infer_mixed")
    def mixed() -> None:
        # What one output says of itself goes before what the request says of all.
        answer = ask(
            {
                "inputs": [tensor("INPUT0", COUNT), sized("INPUT1", ONES)],
                "outputs": [
                    {"name": "OUTPUT1"},
                    {"name": "OUTPUT0", "parameters": {"binary_data": False}},
                ],
                "parameters": {"binary_data_output": True},
            },
            ONES.tobytes(),
        )
        assert answer.data("OUTPUT0") == (COUNT + ONES).ravel().tolist()
        assert answer.binary == {"OUTPUT1": (COUNT - ONES).tobytes()}

    @feature("zero_rows")
    def zero_rows() -> None:
        none = np.empty((0, 16), np.int32)
        content = {"inputs": [sized("INPUT0", none), sized("INPUT1", none)]}
        answer = ask(content | {"parameters": {"binary_data_output": True}})
        assert answer.binary == {"OUTPUT0": b"", "OUTPUT1": b""}
        assert [each["shape"] for each in answer.json["outputs"]] == [[0, 16]] * 2


def _raw(feature: Features, http: httpx.Client) -> None:
    @feature("raw_binary")
    def raw() -> None:
        image = np.arange(48, dtype=np.float32)
        headers = {LENGTH: "0", "Content-Type": "application/octet-stream"}
        response = http.post("/v2/models/image/infer", content=image.tobytes(), headers=headers)
        answer = Answer(response)
        assert answer.json["outputs"][0]["shape"] == [1, 3, 4, 4]
        assert answer.binary == {"out_FP32": image.tobytes()}


def _compressed(feature: Features, http: httpx.Client) -> None:
    def echo(encoding: str, content: bytes) -> None:
        headers = {"Content-Encoding": encoding, "Accept-Encoding": encoding}
        response = http.post("/v2/models/dynamic/infer", content=content, headers=headers)
        assert response.headers["content-encoding"] == encoding
        assert len(Answer(response).data("out_FP32")) == 2**16

    zeros = {"inputs": [tensor("in_FP32", np.zeros((2, 2**15)), "FP32")]}
    plain = json.dumps(zeros).encode()
    feature("gzip")(lambda: echo("gzip", gzip.compress(plain)))
    feature("deflate")(lambda: echo("deflate", zlib.compress(plain)))

    @feature("uncompressed")
    def uncompressed() -> None:
        response = http.post(
            "/v2/models/dynamic/infer", content=plain, headers={"Accept-Encoding": "identity"}
        )
        assert "content-encoding" not in response.headers
        assert len(Answer(response).data("out_FP32")) == 2**16
