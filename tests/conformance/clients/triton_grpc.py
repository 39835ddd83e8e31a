"""tritonclient.grpc."""

from __future__ import annotations

import queue
from contextlib import suppress
from functools import partial
from typing import Any

import grpc
import tritonclient.grpc as tensors
from tritonclient.grpc import service_pb2_grpc
from tritonclient.utils import InferenceServerException

from tests.conformance.clients.triton import sum_and_difference
from tests.conformance.clients.triton_over_grpc import collect_grpc, triton
from tests.conformance.clients.trying import DEADLINE_S, Features, addresses

PARALLEL = 80


def main() -> None:
    """Try all features."""
    where = addresses()
    feature = Features()
    with (
        tensors.InferenceServerClient(where["grpc"]) as client,
        tensors.InferenceServerClient(where["open_grpc"]) as open_client,
        grpc.insecure_channel(where["grpc"]) as channel,
    ):
        stub = service_pb2_grpc.GRPCInferenceServiceStub(channel)
        made = triton(client, open_client)
        collect_grpc(feature, made, lambda asked: tensors.InferResult(stub.ModelInfer(asked)))
        _asynchronous(feature, client, made)
        feature.run()


def _asynchronous(feature: Features, client: Any, made: Any) -> None:
    """Answers that come by a callback."""

    def note(answers: queue.Queue[Any], result: Any, error: Any) -> None:
        answers.put((result, error))

    @feature("concurrent")
    def concurrent() -> None:
        answers: queue.Queue[Any] = queue.Queue()
        for _ in range(PARALLEL):
            client.async_infer("simple", made.pair(), partial(note, answers))
        for _ in range(PARALLEL):
            result, error = answers.get(timeout=DEADLINE_S)
            assert error is None, error
            sum_and_difference(result)

    @feature("stream")
    def stream() -> None:
        answers: queue.Queue[Any] = queue.Queue()
        client.start_stream(partial(note, answers))
        with suppress(InferenceServerException):  # It may have been refused already.
            client.async_stream_infer("simple", made.pair())
        result, error = answers.get(timeout=DEADLINE_S)
        client.stop_stream()
        assert result is None
        assert error.status() == "StatusCode.UNIMPLEMENTED", error
        assert error.message()


if __name__ == "__main__":
    main()
