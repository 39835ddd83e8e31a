"""The standard health service (grpc.health.v1), told by the gateway's own readiness."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import grpc
from grpc_health.v1.health_pb2 import HealthCheckRequest, HealthCheckResponse

from configs.errors import NotFound
from serve.edge.grpc_calls import SERVICE, abort
from serve.edge.reception import Reception

HEALTH = "grpc.health.v1.Health"
_KNOWN = ("", SERVICE)
_LOOK_AGAIN_S = 0.5
_WATCHERS = 64


class Health:
    """Says whether the gateway, or the inference service, can be used."""

    def __init__(self, reception: Reception) -> None:
        self._reception = reception
        self._watchers = 0

    def handlers(self) -> grpc.GenericRpcHandler:
        """Give what a gRPC server calls."""
        read, write = HealthCheckRequest.FromString, HealthCheckResponse.SerializeToString
        return grpc.method_handlers_generic_handler(
            HEALTH,
            {
                "Check": grpc.unary_unary_rpc_method_handler(self._check, read, write),
                "Watch": grpc.unary_stream_rpc_method_handler(self._watch, read, write),
            },
        )

    async def _check(self, asked: Any, context: Any) -> HealthCheckResponse:
        if asked.service not in _KNOWN:
            unknown = NotFound("no such service")
            error, request_id = self._reception.failed(self._reception.arrive(), unknown)
            await abort(context, error, request_id)
        return HealthCheckResponse(status=self._status(asked.service))

    async def _watch(self, asked: Any, context: Any) -> AsyncIterator[HealthCheckResponse]:
        """Tell the status now and whenever it changes, until one of the two leaves."""
        if self._watchers >= _WATCHERS:
            await context.abort(grpc.StatusCode.RESOURCE_EXHAUSTED, "too many watch already")
        self._watchers += 1
        try:
            async for status in self._statuses(asked.service):
                yield HealthCheckResponse(status=status)
        finally:
            self._watchers -= 1

    async def _statuses(self, service: str) -> AsyncIterator[int]:
        told = None
        while True:
            status = self._status(service)
            if status != told:
                told = status
                yield status
            if self._reception.draining:
                return
            await asyncio.sleep(_LOOK_AGAIN_S)

    def _status(self, service: str) -> int:
        if service not in _KNOWN:
            unknown: int = HealthCheckResponse.SERVICE_UNKNOWN
            return unknown
        ready = self._reception.ready()
        status: int = HealthCheckResponse.SERVING if ready else HealthCheckResponse.NOT_SERVING
        return status
