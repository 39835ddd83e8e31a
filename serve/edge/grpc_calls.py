"""Inference over gRPC: the methods of the Open Inference Protocol v2's one service."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Mapping, Sequence
from functools import partial
from time import perf_counter
from typing import Any, NamedTuple

import grpc
from google.protobuf.json_format import ParseDict
from google.protobuf.message import DecodeError, Message

from configs.errors import BadInput, NotSupported, WeirError
from monitors.telemetry import names
from serve.access.principal import Principal
from serve.edge.caller import Caller
from serve.edge.reception import Reception
from serve.edge.visit import Visit
from serve.protocol import grpc_answer, grpc_request
from serve.protocol import inference_pb2 as messages
from serve.protocol.describe import Said
from serve.protocol.grpc_status import OK, status_of
from serve.protocol.paths import Ask, Endpoint, pin
from serve.recorder.counts import Histogram
from serve.traces import Call

SERVICE = "inference.GRPCInferenceService"
_SYSTEM = "grpc"
_Metadata = Sequence[tuple[str, str | bytes]]


class Method(NamedTuple):
    """What a method asks for, the message that it takes, and the one that it gives.

    `under` is the field of the answer that holds what is told; without one it is the answer.
    """

    ask: Ask
    takes: type[Message]
    gives: type[Message]
    under: str = ""


class Called(NamedTuple):
    """One call that was let in: its method, and by whom it was made."""

    name: str
    visit: Visit
    caller: Caller
    principal: Principal


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
_STREAM = "ModelStreamInfer"
_FIRST_MESSAGE_S = 1.0


class GrpcCalls(grpc.GenericRpcHandler):  # type: ignore[misc]  # grpc has no types
    """Answers every gRPC call of the inference port.

    A caller is judged by the metadata, before its message is asked for.
    """

    def __init__(self, reception: Reception) -> None:
        self._reception = reception
        self._durations: dict[tuple[str, str, str], Histogram] = {}
        self._histogram((_INFER, OK, ""))  # What has not happened yet is counted as zero.

    def service(self, handler_call_details: Any) -> grpc.RpcMethodHandler | None:
        """Give what answers a call, None for a method that is not of this service."""
        service, _, name = handler_call_details.method[1:].partition("/")
        if service != SERVICE:
            return None
        method = METHODS.get(_INFER if name == _STREAM else name)
        if method is None:
            return None
        visit = self._reception.arrive()
        visit.endpoint = Endpoint(method.ask)
        caller = _caller(handler_call_details.invocation_metadata)
        try:
            principal = self._reception.admit(visit.endpoint, caller)
        except WeirError as refusal:
            return self._refusing(name, visit, refusal)
        if name == _STREAM:
            streams = NotSupported("streams are not supported: use ModelInfer for each request")
            return self._refusing(name, visit, streams, after_message_s=_FIRST_MESSAGE_S)
        return grpc.unary_unary_rpc_method_handler(
            partial(self._call, Called(name, visit, caller, principal)),
            response_serializer=method.gives.SerializeToString,
        )

    def _refusing(
        self, name: str, visit: Visit, refusal: WeirError, after_message_s: float = 0.0
    ) -> grpc.RpcMethodHandler:
        """Give what answers with an error, without a look at what is sent.

        With `after_message_s` it first waits so long for a message: a client that is still sending
        one when its stream ends may be told of that, and not of the error.
        """

        async def refuse(messages: AsyncIterator[bytes], context: Any) -> None:
            if after_message_s:
                with contextlib.suppress(TimeoutError, StopAsyncIteration):
                    async with asyncio.timeout(after_message_s):
                        await anext(messages)
            error, request_id = self._reception.failed(visit, refusal)
            self._count(name, error, visit)
            await abort(context, error, request_id)

        return grpc.stream_stream_rpc_method_handler(refuse)

    async def _call(self, called: Called, sent: bytes, context: Any) -> Message:
        """Answer one call; a client that leaves cancels it."""
        reception, visit = self._reception, called.visit
        reception.open_requests += 1
        error: WeirError | None = None
        try:
            answer = await self._answer(called, sent, context)
        except asyncio.CancelledError:
            error, _ = reception.failed(visit, reception.left(visit))
            raise
        except Exception as raised:  # noqa: BLE001 - the process boundary; counted by its code
            error, request_id = reception.failed(visit, raised)
            await abort(context, error, request_id)
        finally:
            reception.open_requests -= 1
            self._count(called.name, error, visit)
        if visit.exchange is not None:
            # The answer leaves when this returns; recording it must not come before.
            asyncio.get_running_loop().call_soon(visit.exchange.answered, reception.gateway.shadows)
        return answer

    async def _answer(self, called: Called, sent: bytes, context: Any) -> Message:
        method, visit = METHODS[called.name], called.visit
        visit.waits(context.time_remaining())
        message = _parsed(method, sent)
        visit.endpoint = _endpoint(method.ask, message)
        if method.ask is Ask.INFER:
            return await self._infer(visit, called.caller, message, context)
        said = await self._reception.describe(
            visit.endpoint, _asked(message), called.principal, visit.deadline
        )
        told: Said = {method.under: said} if method.under else said
        answer: Message = ParseDict(told, method.gives(), ignore_unknown_fields=True)
        return answer

    async def _infer(self, visit: Visit, caller: Caller, message: Any, context: Any) -> Message:
        asked = grpc_request.read(message)
        exchange = self._reception.begin(visit, caller, asked, _CALL)
        outputs = await exchange.run(asked, visit.deadline)
        version = exchange.version
        context.set_trailing_metadata(
            (
                ("weir-prediction-id", exchange.prediction_id),
                ("weir-version", version),
                ("weir-arm", exchange.arm),
            )
        )
        return grpc_answer.write(exchange.model, version, asked.id, exchange.said(), outputs)

    def _count(self, name: str, error: WeirError | None, visit: Visit) -> None:
        histogram = self._histogram((name, status_of(error), visit.code))
        histogram.record(perf_counter() - visit.started)

    def _histogram(self, key: tuple[str, str, str]) -> Histogram:
        histogram = self._durations.get(key)
        if histogram is None:
            name, status, code = key
            histogram = self._reception.gateway.recorder.counts.histogram(
                names.CALL_DURATION, _SYSTEM, f"{SERVICE}/{name}", status, code
            )
            self._durations[key] = histogram
        return histogram


def _caller(metadata: _Metadata | None) -> Caller:
    return Caller.of(
        (name.encode(), value if isinstance(value, bytes) else value.encode())
        for name, value in metadata or ()
    )


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


async def abort(context: Any, error: WeirError, request_id: str) -> None:
    """End a call with an error; code, id and when to try again stand in the trailing metadata."""
    metadata = [("weir-error-code", error.code), ("weir-request-id", request_id)]
    if error.retryable:
        metadata.append(("grpc-retry-pushback-ms", str(int(error.retry_after_s * 1000))))
    await context.abort(grpc.StatusCode[status_of(error)], error.message, tuple(metadata))


_CALL = Call(
    f"{SERVICE}/ModelInfer",
    {names.RPC_SYSTEM: _SYSTEM, names.RPC_METHOD: f"{SERVICE}/ModelInfer"},
    names.RPC_STATUS,
    status_of,
)
