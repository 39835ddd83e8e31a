"""kserve.InferenceGRPCClient."""

from __future__ import annotations

import asyncio
from typing import Any

import grpc
import numpy as np
from kserve import InferenceGRPCClient, InferInput

from tests.conformance.clients import trying
from tests.conformance.clients.kserve import KServe, collect, output
from tests.conformance.clients.trying import Features, addresses, raises, same


async def connect(address: str) -> InferenceGRPCClient:
    """A client; it can only be made while a loop runs."""
    return InferenceGRPCClient(address)


def main() -> None:
    """Try all features."""
    where = addresses()
    feature = Features()
    loop = asyncio.new_event_loop()
    asyncio.set_event_loop(loop)
    client = loop.run_until_complete(connect(where["grpc"]))
    codes = ("INVALID_ARGUMENT", "NOT_FOUND", "DEADLINE_EXCEEDED")
    kserve = KServe(client.infer, loop, grpc.RpcError, grpc.RpcError, *codes)
    _health(feature, client, loop)
    collect(feature, kserve)
    _typed(feature, kserve)
    feature.run()
    loop.run_until_complete(client.close())
    loop.close()


def _health(feature: Features, client: Any, loop: asyncio.AbstractEventLoop) -> None:
    def holds(call: Any, *arguments: str) -> None:
        assert loop.run_until_complete(call(*arguments)) is True

    feature("live")(lambda: holds(client.is_server_live))
    feature("ready")(lambda: holds(client.is_server_ready))
    feature("model_ready")(lambda: holds(client.is_model_ready, "simple"))

    @feature("model_ready_unknown")
    def unknown() -> None:
        with raises(grpc.RpcError, "NOT_FOUND", "nobody"):
            holds(client.is_model_ready, "nobody")


def _typed(feature: Features, kserve: KServe) -> None:
    """Contents that are typed instead of raw: what this client sends when it is given lists."""

    @feature("typed_contents")
    def typed() -> None:
        data = {kind: trying.extremes(kind) for kind in trying.DTYPES}
        inputs = [
            InferInput(f"in_{kind}", list(each.shape), kind, data=each.ravel().tolist())
            for kind, each in data.items()
        ]
        answer = kserve.ask("everything", *inputs)
        for kind, each in data.items():
            same(output(answer, f"out_{kind}"), each)

    @feature("typed_bytes")
    def typed_bytes() -> None:
        words = list(trying.WORDS)
        answer = kserve.ask("strings", InferInput("in_BYTES", [2, 2], "BYTES", data=words))
        got: np.ndarray[Any, Any] = output(answer)
        assert trying.texts(got) == words


if __name__ == "__main__":
    main()
