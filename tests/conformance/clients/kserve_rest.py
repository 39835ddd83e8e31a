"""kserve.InferenceRESTClient."""

from __future__ import annotations

import asyncio
from typing import Any

import httpx
import numpy as np
from kserve import InferenceRESTClient, RESTConfig
from kserve.protocol.infer_type import RequestedOutput

from tests.conformance.clients import trying
from tests.conformance.clients.kserve import (
    COUNT,
    ONES,
    KServe,
    collect,
    output,
    pair,
    sum_and_difference,
    tensor,
)
from tests.conformance.clients.trying import Features, addresses, same


def main() -> None:
    """Try all features."""
    base = "http://" + addresses()["http"]
    feature = Features()
    loop = asyncio.new_event_loop()
    client = InferenceRESTClient(RESTConfig(protocol="v2"))

    async def infer(request: Any, **options: Any) -> Any:
        return await client.infer(base, request, model_name=request.model_name, **options)

    kserve = KServe(
        infer, loop, httpx.HTTPStatusError, httpx.TimeoutException, "'400 ", "'404 ", "'504 "
    )
    _health(feature, client, base, loop)
    collect(feature, kserve)
    _json(feature, kserve)

    @feature("trailing_slash")
    def slash() -> None:
        async def ask() -> Any:
            return await client.is_server_live(base + "/")

        assert loop.run_until_complete(ask()) is True

    feature.run()
    loop.run_until_complete(client.close())
    loop.close()


def _health(feature: Features, client: Any, base: str, loop: asyncio.AbstractEventLoop) -> None:
    def says(answer: bool, call: Any, *arguments: str) -> None:
        assert loop.run_until_complete(call(base, *arguments)) is answer

    feature("live")(lambda: says(True, client.is_server_live))
    feature("ready")(lambda: says(True, client.is_server_ready))
    feature("model_ready")(lambda: says(True, client.is_model_ready, "simple"))
    feature("model_ready_unknown")(lambda: says(False, client.is_model_ready, "nobody"))


def _json(feature: Features, kserve: KServe) -> None:
    """What is sent as JSON, and what is sent half and half."""

    @feature("infer_json")
    def as_json() -> None:
        sum_and_difference(kserve.ask("simple", *pair((False, False))))

    @feature("infer_mixed")
    def mixed() -> None:
        wanted = [
            RequestedOutput("OUTPUT0", {"binary_data": True}),
            RequestedOutput("OUTPUT1", {"binary_data": False}),
        ]
        for binary in ((False, True), (True, False)):
            answer = kserve.ask("simple", *pair(binary), request_outputs=wanted)
            same(output(answer, "OUTPUT0"), COUNT + ONES)
            same(output(answer, "OUTPUT1"), COUNT - ONES)

    @feature("datatypes_json")
    def datatypes() -> None:
        data = {kind: trying.extremes(kind) for kind in trying.DTYPES}
        inputs = [tensor(f"in_{kind}", each, binary=False) for kind, each in data.items()]
        answer = kserve.ask("everything", *inputs)
        for kind, each in data.items():
            same(output(answer, f"out_{kind}"), each)

    @feature("bytes_json")
    def text() -> None:
        data = np.array(trying.WORDS, np.object_).reshape(2, 2)
        answer = kserve.ask("strings", tensor("in_BYTES", data, binary=False))
        assert trying.texts(output(answer)) == list(trying.WORDS)


if __name__ == "__main__":
    main()
