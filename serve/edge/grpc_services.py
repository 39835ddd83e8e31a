"""Which desk answers which method of the gRPC port."""

from __future__ import annotations

from serve.edge.grpc_call import Desk
from serve.edge.grpc_calls import METHODS, SERVICE, STREAM, GrpcCalls, Streams
from serve.edge.grpc_health import HEALTH, Check, Watch
from serve.edge.grpc_plain import Nobody
from serve.edge.grpc_reflect import REFLECTION, Reflection
from serve.edge.reception import Reception


class Services:
    """The desks of inference, health and, while nobody is asked for a key, reflection."""

    def __init__(self, reception: Reception) -> None:
        self._nobody = Nobody(reception)
        self._desks: dict[bytes, Desk] = {
            _path(SERVICE, name): GrpcCalls(reception, name) for name in METHODS
        }
        self._desks[_path(SERVICE, STREAM)] = Streams(reception)
        self._desks[_path(HEALTH, "Check")] = Check(reception)
        self._desks[_path(HEALTH, "Watch")] = Watch(reception)
        if not reception.asks_for_keys:  # Its streams may stay open, and it asks nobody for a key.
            self._desks[_path(REFLECTION, "ServerReflectionInfo")] = Reflection(reception)

    def desk(self, path: bytes) -> Desk:
        """Give who answers the calls of a path."""
        return self._desks.get(path, self._nobody)


def _path(service: str, method: str) -> bytes:
    return f"/{service}/{method}".encode()
