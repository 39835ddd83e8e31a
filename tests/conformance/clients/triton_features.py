"""What all four of Triton's clients are asked."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import numpy as np
from tritonclient.utils import InferenceServerException

from tests.conformance.clients import trying
from tests.conformance.clients.triton import COUNT, ONES, Triton, sum_and_difference
from tests.conformance.clients.triton_extensions import collect_extensions
from tests.conformance.clients.trying import Features, raises, same

SCORES = np.array([[0.1, 0.5, 0.05, 0.3, 0.05], [0.9, 0.02, 0.03, 0.01, 0.04]], np.float32)


def collect(feature: Features, triton: Triton) -> None:
    """Collect everything that the four have in common."""
    _health(feature, triton)
    _metadata(feature, triton)
    _inference(feature, triton)
    _datatypes(feature, triton)
    _shapes(feature, triton)
    _errors(feature, triton)
    collect_extensions(feature, triton)


def _health(feature: Features, triton: Triton) -> None:
    client = triton.client

    def holds(call: Callable[..., bool], *arguments: str) -> None:
        assert call(*arguments) is True

    feature("live")(partial(holds, client.is_server_live))
    feature("ready")(partial(holds, client.is_server_ready))
    feature("model_ready")(partial(holds, client.is_model_ready, "simple"))
    feature("model_ready_version")(partial(holds, client.is_model_ready, "versions", "2"))
    feature("model_ready_alias")(partial(holds, client.is_model_ready, "versions", "candidate"))


def _metadata(feature: Features, triton: Triton) -> None:
    client, as_dict = triton.client, triton.as_dict

    @feature("server_metadata")
    def server() -> None:
        said = client.get_server_metadata(**as_dict)
        assert said["name"] == "weir"
        assert said["version"]
        wanted = {"binary_tensor_data", "classification", "model_configuration"}
        assert wanted | {"model_repository", "statistics"} <= set(said["extensions"])

    @feature("model_metadata")
    def model() -> None:
        said = client.get_model_metadata("simple", **as_dict)
        assert (said["name"], said["versions"]) == ("simple", ["1"])
        for side, names in (("inputs", "INPUT"), ("outputs", "OUTPUT")):
            found = [(t["name"], t["datatype"], [int(d) for d in t["shape"]]) for t in said[side]]
            assert found == [(f"{names}{i}", "INT32", [-1, 16]) for i in (0, 1)], found

    @feature("model_metadata_version")
    def version() -> None:
        said = client.get_model_metadata("versions", "2", **as_dict)
        assert (said["name"], said["versions"]) == ("versions", ["1", "2"])


def _inference(feature: Features, triton: Triton) -> None:
    client = triton.client

    @feature("infer_binary")
    def binary() -> None:
        sum_and_difference(client.infer("simple", triton.pair()))

    @feature("requested_outputs")
    def requested() -> None:
        wanted = [triton.tensors.InferRequestedOutput("OUTPUT1")]
        answer = client.infer("simple", triton.pair(), outputs=wanted)
        same(answer.as_numpy("OUTPUT1"), COUNT - ONES)
        assert answer.as_numpy("OUTPUT0") is None

    @feature("versioned")
    def versioned() -> None:
        assert [triton.add("1"), triton.add("2")] == [1, 2]

    @feature("alias")
    def alias() -> None:
        assert [triton.add("stable"), triton.add("candidate")] == [1, 2]

    @feature("id")
    def request_id() -> None:
        answer = client.infer("simple", triton.pair(), request_id="a-7 é")
        said = answer.get_response(**triton.as_dict)
        assert said["id"] == "a-7 é"

    @feature("parameters")
    def parameters() -> None:
        extra = {"text": "a", "whole": 3, "flag": True, "real": 0.5}
        answer = client.infer("simple", triton.pair(), priority=1, parameters=extra)
        sum_and_difference(answer)

    @feature("sequence")
    def sequence() -> None:
        with raises(InferenceServerException, triton.unsupported, "sequence"):
            client.infer("simple", triton.pair(), sequence_id=7, sequence_start=True)

    @feature("classification")
    def classification() -> None:
        scores = triton.input("in_FP32", SCORES)
        wanted = [triton.tensors.InferRequestedOutput("out_FP32", class_count=3)]
        answer = client.infer("labels", [scores], outputs=wanted)
        trying.ranked(answer.as_numpy("out_FP32"), SCORES, 3)

    @feature("timeout")
    def timeout() -> None:
        client.infer("slow", triton.slow(), timeout=20_000_000)
        with raises(InferenceServerException, triton.late):
            client.infer("slow", triton.slow(), timeout=int(trying.HASTY_S * 1e6))


def _datatypes(feature: Features, triton: Triton) -> None:
    client = triton.client

    @feature("datatypes")
    def datatypes() -> None:
        data = {kind: trying.extremes(kind) for kind in trying.DTYPES}
        inputs = [triton.input(f"in_{kind}", each) for kind, each in data.items()]
        answer = client.infer("everything", inputs)
        for kind, each in data.items():
            same(answer.as_numpy(f"out_{kind}"), each)

    @feature("half")
    def half() -> None:
        data = np.array([[0.5, -65504, 2**-24], [1, np.inf, -0.0]], np.float16)
        same(triton.echo("half", data), data)

    @feature("bytes")
    def text() -> None:
        data = np.array(trying.WORDS, np.object_).reshape(2, 2)
        assert trying.texts(triton.echo("strings", data)) == list(trying.WORDS)

    @feature("bytes_not_text")
    def not_text() -> None:
        data = np.array([[b"\xff\xfe", b"a"]], np.object_)
        with raises(InferenceServerException, triton.bad, "in_BYTES", "UTF-8"):
            triton.echo("strings", data)


def _shapes(feature: Features, triton: Triton) -> None:
    @feature("dynamic")
    def dynamic() -> None:
        for shape in ((1, 1), (3, 7), (7, 3)):
            data = np.random.default_rng(0).normal(size=shape).astype(np.float32)
            same(triton.echo("dynamic", data), data)

    @feature("zero_rows")
    def zero_rows() -> None:
        data = np.empty((0, 5), np.float32)
        same(triton.echo("labels", data), data)

    @feature("large")
    def large() -> None:
        data = np.arange(2**21, dtype=np.float32).reshape(2, 2**20)
        same(triton.echo("dynamic", data), data)


def _errors(feature: Features, triton: Triton) -> None:
    client = triton.client
    bad = partial(raises, InferenceServerException, triton.bad)

    @feature("wrong_shape")
    def shape() -> None:
        with bad("INPUT0", "16"):
            client.infer("simple", [triton.input("INPUT0", ONES[:, :8]), *triton.pair()[1:]])

    @feature("wrong_datatype")
    def datatype() -> None:
        with bad("INPUT0", "INT32"):
            client.infer(
                "simple", [triton.input("INPUT0", ONES.astype(np.float32)), *triton.pair()[1:]]
            )

    @feature("wrong_name")
    def name() -> None:
        with bad("INPUT9", "INPUT0"):
            client.infer("simple", [triton.input("INPUT9", ONES), *triton.pair()])

    @feature("unknown_model")
    def model() -> None:
        for ask in (client.get_model_metadata, partial(client.infer, inputs=triton.pair())):
            with raises(InferenceServerException, triton.unknown, "nobody"):
                ask("nobody")

    @feature("unknown_version")
    def version() -> None:
        for number in ("9", "unheard-of"):
            with raises(InferenceServerException, triton.unknown, "versions", number):
                triton.add(number)
