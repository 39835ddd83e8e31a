"""What Triton's two HTTP clients are asked beyond what all four have in common."""

from __future__ import annotations

from typing import Any

import numpy as np
import tritonclient.http as tensors

from tests.conformance.clients import trying
from tests.conformance.clients.triton import COUNT, ONES, Triton, sum_and_difference
from tests.conformance.clients.triton_features import collect
from tests.conformance.clients.trying import Features, same


def triton(client: Any, open_client: Any) -> Triton:
    """A client with HTTP's way to name errors."""
    return Triton(client, open_client, tensors, {}, "[400]", "[404]", "[504]", "[403]", "[501]")


def collect_http(feature: Features, made: Triton) -> None:
    """Collect everything that both have in common."""
    collect(feature, made)
    _encodings(feature, made)
    _compression(feature, made)

    @feature("model_ready_unknown")
    def unknown() -> None:
        # This client looks at nothing but the status.
        assert made.client.is_model_ready("nobody") is False
        assert made.client.is_model_ready("versions", "9") is False


def _encodings(feature: Features, made: Triton) -> None:
    client = made.client

    def ask(binary: tuple[bool, bool], wanted: tuple[bool, bool]) -> Any:
        inputs = [
            made.input(f"INPUT{i}", data, binary_data=binary[i]) for i, data in _pair().items()
        ]
        outputs = [
            tensors.InferRequestedOutput(f"OUTPUT{i}", binary_data=each)
            for i, each in enumerate(wanted)
        ]
        return client.infer("simple", inputs, outputs=outputs)

    @feature("infer_json")
    def as_json() -> None:
        answer = ask((False, False), (False, False))
        sum_and_difference(answer)
        assert answer.get_output("OUTPUT0")["data"] == (COUNT + ONES).ravel().tolist()

    @feature("infer_mixed")
    def mixed() -> None:
        # As in Triton's own example: JSON first in the request, last in the answer.
        answer = ask((False, True), (True, False))
        sum_and_difference(answer)
        assert answer.get_output("OUTPUT0")["parameters"] == {"binary_data_size": 64}
        assert "data" in answer.get_output("OUTPUT1")
        sum_and_difference(ask((True, False), (False, True)))

    @feature("default_outputs")
    def default() -> None:
        inputs = [made.input(f"INPUT{i}", data, binary_data=False) for i, data in _pair().items()]
        answer = client.infer("simple", inputs)
        sum_and_difference(answer)
        for i in (0, 1):
            assert answer.get_output(f"OUTPUT{i}")["parameters"] == {"binary_data_size": 64}

    @feature("datatypes_json")
    def datatypes() -> None:
        data = {kind: trying.extremes(kind) for kind in trying.DTYPES}
        inputs = [made.input(f"in_{k}", each, binary_data=False) for k, each in data.items()]
        wanted = [tensors.InferRequestedOutput(f"out_{k}", binary_data=False) for k in data]
        answer = client.infer("everything", inputs, outputs=wanted)
        for kind, each in data.items():
            same(answer.as_numpy(f"out_{kind}"), each)

    @feature("bytes_json")
    def text() -> None:
        data = np.array(trying.WORDS, np.object_).reshape(2, 2)
        wanted = [tensors.InferRequestedOutput("out_BYTES", binary_data=False)]
        given = [made.input("in_BYTES", data, binary_data=False)]
        answer = client.infer("strings", given, outputs=wanted)
        assert answer.as_numpy("out_BYTES").ravel().tolist() == list(trying.WORDS)


def _pair() -> dict[int, Any]:
    return {0: COUNT, 1: ONES}


def _compression(feature: Features, made: Triton) -> None:
    def echo(request: str | None, response: str | None) -> None:
        data = np.zeros((2, 2**15), np.float32)
        given = [made.input("in_FP32", data)]
        answer = made.client.infer(
            "dynamic",
            given,
            request_compression_algorithm=request,
            response_compression_algorithm=response,
        )
        same(answer.as_numpy("out_FP32"), data)

    @feature("gzip")
    def gzip() -> None:
        echo("gzip", "gzip")

    @feature("deflate")
    def deflate() -> None:
        echo("deflate", "deflate")
