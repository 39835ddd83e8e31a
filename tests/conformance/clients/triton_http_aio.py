"""tritonclient.http.aio."""

from __future__ import annotations

import asyncio

from tritonclient.http import aio

from tests.conformance.clients.triton import sum_and_difference
from tests.conformance.clients.triton_over_http import collect_http, triton
from tests.conformance.clients.trying import HASTY_S, Blocking, Features, addresses, raises

PARALLEL = 80


async def connect(address: str, timeout_s: float = 60.0) -> aio.InferenceServerClient:
    """A client; it can only be made while a loop runs."""
    return aio.InferenceServerClient(address, conn_timeout=timeout_s)


def main() -> None:
    """Try all features."""
    where = addresses()
    feature = Features()
    loop = asyncio.new_event_loop()
    client = Blocking(loop.run_until_complete(connect(where["http"])), loop)
    open_client = Blocking(loop.run_until_complete(connect(where["open_http"])), loop)
    made = triton(client, open_client)
    collect_http(feature, made)

    @feature("concurrent")
    def concurrent() -> None:
        async def ask() -> list[object]:
            calls = (client.client.infer("simple", made.pair()) for _ in range(PARALLEL))
            return list(await asyncio.gather(*calls))

        for each in loop.run_until_complete(ask()):
            sum_and_difference(each)

    @feature("client_timeout")
    def client_timeout() -> None:
        hasty = Blocking(loop.run_until_complete(connect(where["http"], HASTY_S)), loop)
        with raises(TimeoutError):
            hasty.infer("slow", made.slow())
        hasty.close()
        sum_and_difference(client.infer("simple", made.pair()))

    @feature("trailing_slash")
    def slash() -> None:
        other = Blocking(loop.run_until_complete(connect(where["http"] + "/")), loop)
        sum_and_difference(other.infer("simple", made.pair()))
        other.close()

    feature.run()
    client.close()
    open_client.close()
    loop.close()


if __name__ == "__main__":
    main()
