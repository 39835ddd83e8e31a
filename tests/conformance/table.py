"""The columns of the table: the clients, and what each of them does not have, and why."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from tests.conformance.features import (
    EXTENSIONS,
    FEATURES,
    ONLY_GRPC,
    ONLY_HTTP,
    STANDARD_GRPC,
    VERSIONS,
)

Absent = Mapping[str, tuple[str, ...]]
"""Features that a client does not have, by the reason."""


@dataclass(frozen=True, slots=True, eq=False)
class Client:
    """A client, the program that drives it, and where that runs.

    `environment` is the name of a lock file, None for our own environment. `package` is the
    distribution whose version the page tells.
    """

    title: str
    program: str
    environment: str | None
    package: str
    absent: Absent

    @property
    def features(self) -> tuple[str, ...]:
        """What the client must be able to do with a gateway, in the order of the rows."""
        without = {name for names in self.absent.values() for name in names}
        return tuple(name for name in FEATURES if name not in without)


_OF_GRPC = "a matter of gRPC"
_OF_HTTP = "a matter of HTTP"
_NO_SUCH_REQUEST = "the client cannot send it"
_LEFT = "left to the other clients of the same protocol, which show it"
_REFLECTED = (
    "live",
    "ready",
    "model_ready",
    "server_metadata",
    "model_metadata",
    "typed_contents",
    "unknown_model",
)

_TRITON_HTTP: Absent = {
    _OF_GRPC: (*ONLY_GRPC, *STANDARD_GRPC),
    _NO_SUCH_REQUEST: ("raw_binary", "uncompressed"),
}
_TRITON_GRPC: Absent = {
    _OF_HTTP: ONLY_HTTP,
    "the client calls no service but its own": STANDARD_GRPC,
}
_KSERVE: Absent = {
    "the client has no way to name a version": VERSIONS,
    "the client has no method for it": ("server_metadata", "model_metadata", *EXTENSIONS),
    "the client has no option for it": ("gzip", "deflate", "sequence"),
}
_KSERVE_REST: Absent = {**_TRITON_HTTP, **_KSERVE}
_KSERVE_GRPC: Absent = {**_TRITON_GRPC, **_KSERVE, _NO_SUCH_REQUEST: ("stream",)}
_PLAIN_HTTP: Absent = {
    _OF_GRPC: (*ONLY_GRPC, *STANDARD_GRPC),
    _LEFT: (
        "datatypes",
        "half",
        "bytes",
        "dynamic",
        "large",
        "concurrent",
        "sequence",
        "classification",
        "client_timeout",
    ),
}
_PLAIN_GRPC: Absent = {
    _OF_HTTP: ONLY_HTTP,
    _LEFT: tuple(
        name for name in FEATURES if name not in (*ONLY_HTTP, *STANDARD_GRPC, *_REFLECTED)
    ),
}

CLIENTS = (
    Client("tritonclient.http", "triton_http", "tritonclient", "tritonclient", _TRITON_HTTP),
    Client(
        "tritonclient.http.aio", "triton_http_aio", "tritonclient", "tritonclient", _TRITON_HTTP
    ),
    Client("tritonclient.grpc", "triton_grpc", "tritonclient", "tritonclient", _TRITON_GRPC),
    Client(
        "tritonclient.grpc.aio", "triton_grpc_aio", "tritonclient", "tritonclient", _TRITON_GRPC
    ),
    Client("kserve REST", "kserve_rest", "kserve", "kserve", _KSERVE_REST),
    Client("kserve gRPC", "kserve_grpc", "kserve", "kserve", _KSERVE_GRPC),
    Client("plain HTTP", "plain_http", None, "httpx", _PLAIN_HTTP),
    Client("plain gRPC", "grpc_standard", "grpcio", "grpcio", _PLAIN_GRPC),
)
"""Every column, in order."""
