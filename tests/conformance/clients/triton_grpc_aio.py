"""tritonclient.grpc.aio."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import grpc
import tritonclient.grpc as tensors
from tritonclient.grpc import aio, service_pb2_grpc

from tests.conformance.clients.triton import sum_and_difference
from tests.conformance.clients.triton_over_grpc import collect_grpc, triton
from tests.conformance.clients.trying import Blocking, Features, addresses, raises

PARALLEL = 80


async def connect(address: str) -> aio.InferenceServerClient:
    """A client; it can only be made while a loop runs."""
    return aio.InferenceServerClient(address)


def main() -> None:
    """Try all features."""
    where = addresses()
    feature = Features()
    loop = asyncio.new_event_loop()
    asyncio.set_event_loop(loop)
    client = Blocking(loop.run_until_complete(connect(where["grpc"])), loop)
    open_client = Blocking(loop.run_until_complete(connect(where["open_grpc"])), loop)
    channel = grpc.aio.insecure_channel(where["grpc"])
    stub = service_pb2_grpc.GRPCInferenceServiceStub(channel)

    async def infer(asked: Any) -> Any:
        return tensors.InferResult(await stub.ModelInfer(asked))

    made = triton(client, open_client)
    collect_grpc(feature, made, lambda asked: loop.run_until_complete(infer(asked)))
    _asynchronous(feature, client, made)
    feature.run()
    client.close()
    open_client.close()
    loop.run_until_complete(channel.close())
    loop.close()


def _asynchronous(feature: Features, client: Blocking, made: Any) -> None:
    """Many answers at a time."""

    @feature("concurrent")
    def concurrent() -> None:
        async def ask() -> list[object]:
            calls = (client.client.infer("simple", made.pair()) for _ in range(PARALLEL))
            return list(await asyncio.gather(*calls))

        for each in client.loop.run_until_complete(ask()):
            sum_and_difference(each)

    @feature("stream")
    def stream() -> None:
        async def asked() -> AsyncIterator[dict[str, Any]]:
            yield {"model_name": "simple", "inputs": made.pair()}

        async def ask() -> None:
            async for _ in client.client.stream_infer(asked()):
                message = "a stream that is not offered gave an answer"
                raise AssertionError(message)

        with raises(grpc.RpcError, "UNIMPLEMENTED"):
            client.loop.run_until_complete(ask())


if __name__ == "__main__":
    main()
