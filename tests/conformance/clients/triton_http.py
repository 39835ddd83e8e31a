"""tritonclient.http."""

from __future__ import annotations

import tritonclient.http as tensors
from gevent import Timeout

from tests.conformance.clients.triton import sum_and_difference
from tests.conformance.clients.triton_over_http import collect_http, triton
from tests.conformance.clients.trying import HASTY_S, Features, addresses, raises

PARALLEL = 8


def main() -> None:
    """Try all features."""
    where = addresses()
    feature = Features()
    with (
        tensors.InferenceServerClient(where["http"], concurrency=PARALLEL) as client,
        tensors.InferenceServerClient(where["open_http"]) as open_client,
    ):
        made = triton(client, open_client)
        collect_http(feature, made)

        @feature("concurrent")
        def concurrent() -> None:
            asked = [client.async_infer("simple", made.pair()) for _ in range(10 * PARALLEL)]
            for each in asked:
                sum_and_difference(each.get_result())

        @feature("client_timeout")
        def client_timeout() -> None:
            with (
                tensors.InferenceServerClient(where["http"], network_timeout=HASTY_S) as hasty,
                raises((TimeoutError, Timeout)),
            ):
                hasty.infer("slow", made.slow())
            sum_and_difference(client.infer("simple", made.pair()))

        @feature("trailing_slash")
        def slash() -> None:
            with tensors.InferenceServerClient(where["http"] + "/") as other:
                sum_and_difference(other.infer("simple", made.pair()))

        feature.run()


if __name__ == "__main__":
    main()
