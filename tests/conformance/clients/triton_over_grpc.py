"""What Triton's two gRPC clients are asked beyond what all four have in common."""

from __future__ import annotations

from typing import Any

import numpy as np
import tritonclient.grpc as tensors
from tritonclient.grpc import service_pb2
from tritonclient.utils import InferenceServerException

from tests.conformance.clients import trying
from tests.conformance.clients.triton import COUNT, ONES, Triton, sum_and_difference
from tests.conformance.clients.triton_features import collect
from tests.conformance.clients.trying import Features, raises, same

CONTENTS = {
    "BOOL": "bool_contents",
    "UINT8": "uint_contents",
    "UINT16": "uint_contents",
    "UINT32": "uint_contents",
    "UINT64": "uint64_contents",
    "INT8": "int_contents",
    "INT16": "int_contents",
    "INT32": "int_contents",
    "INT64": "int64_contents",
    "FP32": "fp32_contents",
    "FP64": "fp64_contents",
    "BYTES": "bytes_contents",
}
"""The field of `InferTensorContents` that holds a datatype (v2 gRPC, "Tensor Data")."""


def triton(client: Any, open_client: Any) -> Triton:
    """A client with gRPC's way to name errors."""
    codes = (
        "INVALID_ARGUMENT",
        "NOT_FOUND",
        "DEADLINE_EXCEEDED",
        "PERMISSION_DENIED",
        "UNIMPLEMENTED",
    )
    return Triton(
        client,
        open_client,
        tensors,
        {"as_json": True},
        *(f"[StatusCode.{code}]" for code in codes),
    )


def collect_grpc(feature: Features, made: Triton, infer: Any) -> None:
    """Collect everything that both have in common; `infer` sends a `ModelInferRequest`."""
    collect(feature, made)
    client = made.client

    @feature("model_ready_unknown")
    def unknown() -> None:
        with raises(InferenceServerException, made.unknown, "nobody"):
            client.is_model_ready("nobody")
        with raises(InferenceServerException, made.unknown, "versions"):
            client.is_model_ready("versions", "9")

    @feature("default_outputs")
    def default() -> None:
        answer = client.infer("simple", made.pair())
        sum_and_difference(answer)
        assert [len(raw) for raw in answer.get_response().raw_output_contents] == [64, 64]

    @feature("client_timeout")
    def client_timeout() -> None:
        with raises(InferenceServerException, made.late):
            client.infer("slow", made.slow(), client_timeout=trying.HASTY_S)
        sum_and_difference(client.infer("simple", made.pair()))

    def compressed(algorithm: str) -> None:
        data = np.zeros((2, 2**15), np.float32)
        same(made.echo("dynamic", data, compression_algorithm=algorithm), data)

    feature("gzip")(lambda: compressed("gzip"))
    feature("deflate")(lambda: compressed("deflate"))
    _typed(feature, made, infer)


def _typed(feature: Features, made: Triton, infer: Any) -> None:
    """Contents that are typed instead of raw, as in Triton's `grpc_explicit_*` examples."""

    @feature("typed_contents")
    def typed() -> None:
        data = {kind: trying.extremes(kind) for kind in trying.DTYPES}
        answer = infer(request("everything", data))
        for kind, each in data.items():
            same(answer.as_numpy(f"out_{kind}"), each)
        pair = service_pb2.ModelInferRequest(model_name="simple")
        for name, each in (("INPUT0", COUNT), ("INPUT1", ONES)):
            add(pair, name, "INT32", each)
        sum_and_difference(infer(pair))

    @feature("typed_bytes")
    def typed_bytes() -> None:
        data = np.array([word.encode() for word in trying.WORDS], np.object_).reshape(2, 2)
        answer = infer(request("strings", {"BYTES": data})).as_numpy("out_BYTES")
        assert trying.texts(answer) == list(trying.WORDS)


def request(model: str, data: dict[str, Any]) -> Any:
    """A request with typed contents, of one of the identity models."""
    made = service_pb2.ModelInferRequest(model_name=model)
    for kind, each in data.items():
        add(made, f"in_{kind}", kind, each)
    return made


def add(made: Any, name: str, kind: str, data: Any) -> None:
    """Add an input with typed contents to a request."""
    tensor = made.inputs.add(name=name, datatype=kind, shape=data.shape)
    getattr(tensor.contents, CONTENTS[kind]).extend(data.ravel().tolist())
