"""The standard health service (grpc.health.v1), told by the gateway's own readiness."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

from google.protobuf.message import DecodeError
from grpc_health.v1.health_pb2 import HealthCheckRequest, HealthCheckResponse

from configs.errors import BadInput, NotFound, Overloaded
from serve.edge import grpc_reply
from serve.edge.grpc_call import Call
from serve.edge.grpc_calls import SERVICE
from serve.edge.grpc_plain import PlainDesk
from serve.edge.reception import Reception

HEALTH = "grpc.health.v1.Health"
_KNOWN = ("", SERVICE)
_LOOK_AGAIN_S = 0.5
_WATCHERS = 64


class Check(PlainDesk):
    """Says once whether the gateway, or the inference service, can be used."""

    def serve(self, call: Call, message: bytes) -> None:
        """Answer, or say that there is no such service."""
        service = _service(message)
        if service not in _KNOWN:
            raise NotFound("no such service")
        call.answer(_said(_status(self._reception, service)), grpc_reply.good())


class Watch(PlainDesk):
    """Says whether it can be used, now and whenever that changes, until one of the two leaves."""

    def __init__(self, reception: Reception) -> None:
        super().__init__(reception)
        self._watchers = 0

    def serve(self, call: Call, message: bytes) -> None:
        """Answer for as long as the client likes, unless too many want that."""
        if self._watchers >= _WATCHERS:
            call.finish(grpc_reply.bad("RESOURCE_EXHAUSTED", "too many watch already"))
            return
        watching = self._watch(call, _service(message))
        self._watchers += 1
        call.task = asyncio.get_running_loop().create_task(watching)
        call.task.add_done_callback(self._ended)

    def _ended(self, _task: asyncio.Task[None]) -> None:
        self._watchers -= 1

    async def _watch(self, call: Call, service: str) -> None:
        try:
            async for status in self._statuses(service):
                call.send(_said(status))
        except Overloaded as error:
            self.refuse(call, error)
        else:
            call.finish(grpc_reply.good())

    async def _statuses(self, service: str) -> AsyncIterator[int]:
        told = None
        while True:
            status = _status(self._reception, service)
            if status != told:
                told = status
                yield status
            if self._reception.draining:
                return
            await asyncio.sleep(_LOOK_AGAIN_S)


def _service(message: bytes) -> str:
    try:
        service: str = HealthCheckRequest.FromString(message).service
    except DecodeError:
        raise BadInput("this is no message of the type HealthCheckRequest") from None
    return service


def _status(reception: Reception, service: str) -> int:
    if service not in _KNOWN:
        unknown: int = HealthCheckResponse.SERVICE_UNKNOWN
        return unknown
    ready = reception.ready()
    status: int = HealthCheckResponse.SERVING if ready else HealthCheckResponse.NOT_SERVING
    return status


def _said(status: int) -> bytes:
    said: bytes = HealthCheckResponse(status=status).SerializeToString()
    return said
