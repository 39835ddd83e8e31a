"""Inference over gRPC: the methods of the Open Inference Protocol v2's one service.

Everything here is called when something has happened: a head has come, a message, the model's
answer. An inference call has no task, and nothing waits.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from time import perf_counter
from typing import Any, NamedTuple

from google.protobuf.json_format import ParseDict
from google.protobuf.message import DecodeError, Message

from configs.errors import BadInput, NotSupported, WeirError
from monitors.telemetry import names
from serve.edge import grpc_reply
from serve.edge.grpc_call import Call
from serve.edge.reception import Reception
from serve.exchange import Exchange
from serve.protocol import grpc_answer, grpc_request
from serve.protocol import inference_pb2 as messages
from serve.protocol.describe import Said
from serve.protocol.grpc_status import OK, status_of
from serve.protocol.paths import Ask, Endpoint, pin
from serve.recorder.counts import Histogram
from serve.traces import Call as Traced

SERVICE = "inference.GRPCInferenceService"
_SYSTEM = "grpc"


class Method(NamedTuple):
    """What a method asks for, the message that it takes, and the one that it gives.

    `under` is the field of the answer that holds what is told; without one it is the answer.
    """

    ask: Ask
    takes: type[Message]
    gives: type[Message]
    under: str = ""


METHODS: Mapping[str, Method] = {
    "ServerLive": Method(Ask.LIVE, messages.ServerLiveRequest, messages.ServerLiveResponse),
    "ServerReady": Method(Ask.READY, messages.ServerReadyRequest, messages.ServerReadyResponse),
    "ModelReady": Method(Ask.MODEL_READY, messages.ModelReadyRequest, messages.ModelReadyResponse),
    "ServerMetadata": Method(
        Ask.SERVER, messages.ServerMetadataRequest, messages.ServerMetadataResponse
    ),
    "ModelMetadata": Method(
        Ask.MODEL, messages.ModelMetadataRequest, messages.ModelMetadataResponse
    ),
    "ModelInfer": Method(Ask.INFER, messages.ModelInferRequest, messages.ModelInferResponse),
    "ModelConfig": Method(
        Ask.CONFIG, messages.ModelConfigRequest, messages.ModelConfigResponse, "config"
    ),
    "ModelStatistics": Method(
        Ask.STATISTICS, messages.ModelStatisticsRequest, messages.ModelStatisticsResponse
    ),
    "RepositoryIndex": Method(
        Ask.INDEX, messages.RepositoryIndexRequest, messages.RepositoryIndexResponse
    ),
    "RepositoryModelLoad": Method(
        Ask.LOAD, messages.RepositoryModelLoadRequest, messages.RepositoryModelLoadResponse
    ),
    "RepositoryModelUnload": Method(
        Ask.UNLOAD, messages.RepositoryModelUnloadRequest, messages.RepositoryModelUnloadResponse
    ),
}
"""Every method of the service that takes one message and gives one."""

_INFER = "ModelInfer"
STREAM = "ModelStreamInfer"
_FIRST_MESSAGE_S = 1.0


class GrpcCalls:
    """Answers one method of the inference service, for all connections.

    A caller is judged by the metadata, before its message is read.
    """

    def __init__(self, reception: Reception, name: str) -> None:
        self._reception = reception
        self._name = name
        self._method = METHODS[_INFER if name == STREAM else name]
        self._durations: dict[tuple[str, str], Histogram] = {}
        if name == _INFER:
            self._histogram((OK, ""))  # What has not happened yet is counted as zero.

    def begin(self, call: Call) -> None:
        """Let a call in by its head, or end it with an error."""
        reception, head = self._reception, call.head
        reception.open_requests += 1
        visit = call.visit = reception.arrive()
        visit.endpoint = Endpoint(self._method.ask)
        try:
            call.principal = reception.admit(visit.endpoint, head.caller)
            if head.fault is not None:
                raise head.fault
            visit.waits(head.timeout_s)
        except Exception as raised:  # noqa: BLE001 - the process boundary; counted by its code
            self._fail(call, raised)

    def serve(self, call: Call, message: bytes) -> None:
        """Answer a call that has come as a whole."""
        method, visit = self._method, call.visit
        try:
            asked = _parsed(method, message)
            visit.endpoint = _endpoint(method.ask, asked)
            if method.ask is Ask.INFER:
                self._infer(call, asked)
            else:
                telling = self._tell(call, visit.endpoint, asked)
                call.task = asyncio.get_running_loop().create_task(telling)
        except Exception as raised:  # noqa: BLE001 - the process boundary; counted by its code
            self._fail(call, raised)

    def ended(self, call: Call) -> None:
        """Do nothing: no method here has a stream."""

    def refuse(self, call: Call, error: WeirError) -> None:
        """End a call with an error."""
        self._fail(call, error)

    def left(self, call: Call) -> None:
        """Give up a call, and say in the counts whether its client left or ran out of time."""
        visit = call.visit
        error, _ = self._reception.failed(visit, self._reception.left(visit))
        self._end(call, error)

    def _infer(self, call: Call, message: Any) -> None:
        visit = call.visit
        asked = grpc_request.read(message)
        exchange = self._reception.begin(visit, call.head.caller, asked, _CALL)
        exchange.start(asked, visit.deadline, lambda told: self._told(call, told))

    def _told(self, call: Call, exchange: Exchange) -> None:
        """Write the answer that the model has given."""
        if call.over:
            return
        version, prediction_id = exchange.version, exchange.prediction_id
        try:
            answer = grpc_answer.write(
                exchange.model,
                version,
                exchange.request_id,
                exchange.said(),
                exchange.outputs(),
            ).SerializeToString()
            trailers = grpc_reply.good(
                grpc_reply.unlike_others(b"weir-prediction-id", prediction_id),
                (b"weir-version", version.encode()),
                (b"weir-arm", exchange.arm.encode()),
            )
            call.answer(answer, trailers)
        except Exception as raised:  # noqa: BLE001 - the process boundary; counted by its code
            self._fail(call, raised)
            return
        # The answer leaves at the end of this turn; recording it must not come before.
        asyncio.get_running_loop().call_soon(exchange.answered, self._reception.gateway.shadows)
        self._end(call, None)

    async def _tell(self, call: Call, endpoint: Endpoint, asked: Any) -> None:
        """Answer a call that is no inference."""
        method = self._method
        try:
            said = await self._reception.describe(
                endpoint, _asked(asked), call.principal, call.visit.deadline
            )
            told: Said = {method.under: said} if method.under else said
            answer = ParseDict(told, method.gives(), ignore_unknown_fields=True)
            call.answer(answer.SerializeToString(), grpc_reply.good())
        except Exception as raised:  # noqa: BLE001 - the process boundary; counted by its code
            self._fail(call, raised)
        else:
            self._end(call, None)

    def _fail(self, call: Call, raised: Exception) -> None:
        if call.over:
            return
        error, request_id = self._reception.failed(call.visit, raised)
        call.finish(grpc_reply.failed(error, request_id))
        self._end(call, error)

    def _end(self, call: Call, error: WeirError | None) -> None:
        self._reception.open_requests -= 1
        histogram = self._histogram((status_of(error), call.visit.code))
        histogram.record(perf_counter() - call.visit.started)

    def _histogram(self, key: tuple[str, str]) -> Histogram:
        histogram = self._durations.get(key)
        if histogram is None:
            histogram = self._reception.gateway.recorder.counts.histogram(
                names.CALL_DURATION, _SYSTEM, f"{SERVICE}/{self._name}", *key
            )
            self._durations[key] = histogram
        return histogram


class Streams(GrpcCalls):
    """Refuses the one method that is not offered, and says which to use.

    It waits a little for a message first: a client that is still sending one when its stream ends
    may be told of that, and not of the error.
    """

    def __init__(self, reception: Reception) -> None:
        super().__init__(reception, STREAM)

    def begin(self, call: Call) -> None:
        """Let a call in by its head, if only to refuse it."""
        super().begin(call)
        if not call.over:
            call.streams = True
            asyncio.get_running_loop().call_later(_FIRST_MESSAGE_S, self.ended, call)

    def serve(self, call: Call, _message: bytes) -> None:
        """End a call whose first message has come."""
        self.ended(call)

    def ended(self, call: Call) -> None:
        """End a call."""
        streams = "streams are not supported: use ModelInfer for each request"
        self.refuse(call, NotSupported(streams))


def _parsed(method: Method, sent: bytes) -> Any:
    try:
        return method.takes.FromString(sent)
    except DecodeError:
        raise BadInput(f"this is no message of the type {method.takes.DESCRIPTOR.name}") from None


def _endpoint(ask: Ask, message: Any) -> Endpoint:
    """Give what a message about models speaks of."""
    if ask in (Ask.LOAD, Ask.UNLOAD):
        return Endpoint(ask, message.model_name or message.repository_name)
    if ask is Ask.INFER:
        name, version = message.model_name, message.model_version
    elif hasattr(message, "name"):
        name, version = message.name, message.version
    else:
        return Endpoint(ask)
    if ask is Ask.STATISTICS and not name:
        return Endpoint(Ask.ALL_STATISTICS)
    return Endpoint(ask, name, pin(name, version) if version else None)


def _asked(message: Any) -> dict[str, object]:
    """Give what a message asks for, as the body of the same request over HTTP would."""
    asked: dict[str, object] = {}
    if hasattr(message, "ready"):
        asked["ready"] = message.ready
    if hasattr(message, "parameters"):
        asked["parameters"] = dict.fromkeys(message.parameters, "")
    return asked


_CALL = Traced(
    f"{SERVICE}/ModelInfer",
    {names.RPC_SYSTEM: _SYSTEM, names.RPC_METHOD: f"{SERVICE}/ModelInfer"},
    names.RPC_STATUS,
    status_of,
)
