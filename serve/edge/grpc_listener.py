"""The gRPC port of a gateway replica: the inference service, health and reflection."""

from __future__ import annotations

from pathlib import Path

import grpc
import grpc.aio
from grpc_reflection.v1alpha import reflection

from configs.errors import StartError
from configs.settings import Limits, Listen
from serve.edge.grpc_calls import SERVICE, GrpcCalls
from serve.edge.grpc_health import HEALTH, Health
from serve.edge.reception import Reception

_STREAMS = 256
_AGE_S = 600


class GrpcListener:
    """Serves gRPC on the loop that makes it; each replica of a node binds the port for itself."""

    def __init__(self, reception: Reception, listen: Listen, limits: Limits) -> None:
        self._server = grpc.aio.server(
            options=_options(limits), maximum_concurrent_rpcs=limits.connections_max
        )
        self._server.add_generic_rpc_handlers((GrpcCalls(reception), Health(reception).handlers()))
        if not reception.asks_for_keys:  # Its streams may stay open, and it asks nobody for a key.
            services = (SERVICE, HEALTH, reflection.SERVICE_NAME)
            reflection.enable_server_reflection(services, self._server)
        self.port = self._bind(listen)

    async def open(self) -> None:
        """Begin to accept."""
        await self._server.start()

    async def drain(self, busy_s: float) -> None:
        """Stop to accept, tell the clients to go elsewhere, and give open calls `busy_s`."""
        await self._server.stop(busy_s)

    def _bind(self, listen: Listen) -> int:
        host = f"[{listen.host}]" if ":" in listen.host else listen.host
        address = f"{host}:{listen.grpc_port}"
        credentials = _credentials(listen.tls_certificate, listen.tls_key)
        try:
            if credentials is None:
                port: int = self._server.add_insecure_port(address)
            else:
                port = self._server.add_secure_port(address, credentials)
        except RuntimeError:
            raise StartError(f"cannot listen on {address} for gRPC") from None
        return port


def _options(limits: Limits) -> list[tuple[str, int]]:
    return [
        ("grpc.so_reuseport", 1),
        ("grpc.max_receive_message_length", limits.body_max_bytes),
        ("grpc.max_send_message_length", -1),
        ("grpc.max_allowed_incoming_connections", limits.connections_max),
        # A client that does not finish its handshake, and one that has gone without a word.
        # No connection takes all the calls that may be open, nor keeps any open for ever.
        ("grpc.max_concurrent_streams", _STREAMS),
        ("grpc.max_connection_age_ms", _AGE_S * 1000),
        ("grpc.max_connection_age_grace_ms", int(limits.deadline_s * 1000)),
        ("grpc.server_handshake_timeout_ms", int(limits.slow_s * 1000)),
        ("grpc.keepalive_time_ms", 30_000),
        ("grpc.keepalive_timeout_ms", int(limits.slow_s * 1000)),
        ("grpc.max_metadata_size", 64 * 2**10),
    ]


def _credentials(certificate: Path | None, key: Path | None) -> grpc.ServerCredentials | None:
    if certificate is None or key is None:
        return None
    return grpc.ssl_server_credentials([(key.read_bytes(), certificate.read_bytes())])
