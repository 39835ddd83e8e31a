"""Server reflection (grpc.reflection.v1alpha): tools find out what there is to call."""

from __future__ import annotations

from google.protobuf.message import DecodeError
from grpc_reflection.v1alpha.reflection import SERVICE_NAME, ReflectionServicer
from grpc_reflection.v1alpha.reflection_pb2 import ServerReflectionRequest

from configs.errors import BadInput, Overloaded
from serve.edge.grpc_call import Call
from serve.edge.grpc_calls import SERVICE
from serve.edge.grpc_health import HEALTH
from serve.edge.grpc_plain import PlainDesk
from serve.edge.reception import Reception

REFLECTION: str = SERVICE_NAME
_SENT_MAX_BYTES = 2**20


class Reflection(PlainDesk):
    """Answers each message of a stream, until so much was sent that no tool needs it."""

    def __init__(self, reception: Reception) -> None:
        super().__init__(reception)
        self._servicer = ReflectionServicer((SERVICE, HEALTH, REFLECTION))

    def begin(self, call: Call) -> None:
        """Let a call in; each of its messages is answered when it comes."""
        call.streams = True
        super().begin(call)

    def serve(self, call: Call, message: bytes) -> None:
        """Answer a message."""
        if call.sent > _SENT_MAX_BYTES:
            raise Overloaded("more is asked on one stream than a tool needs to know")
        try:
            asked = ServerReflectionRequest.FromString(message)
        except DecodeError:
            raise BadInput("this is no message of the type ServerReflectionRequest") from None
        for answer in self._servicer.ServerReflectionInfo(iter((asked,)), None):
            call.send(answer.SerializeToString())
