"""grpcio alone: the health service, and a client that knows nothing but what reflection says."""

from __future__ import annotations

from typing import Any

import grpc
import numpy as np
from google.protobuf.descriptor_pool import DescriptorPool
from google.protobuf.message_factory import GetMessageClass
from grpc_health.v1 import health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha.proto_reflection_descriptor_database import (
    ProtoReflectionDescriptorDatabase,
)

from tests.conformance.clients.trying import DEADLINE_S, Features, addresses, raises

SERVICE = "inference.GRPCInferenceService"
REQUIRED = {"ServerLive", "ServerReady", "ModelReady", "ServerMetadata", "ModelMetadata"}
"""The methods that every server has, and `ModelInfer` (v2 gRPC, "GRPC API")."""


class Reflected:
    """Calls the methods that reflection tells of, with the messages that it tells of."""

    def __init__(self, channel: grpc.Channel) -> None:
        self._channel = channel
        self._pool = DescriptorPool(ProtoReflectionDescriptorDatabase(channel))

    def methods(self) -> set[str]:
        """The names of the methods."""
        return {each.name for each in self._pool.FindServiceByName(SERVICE).methods}

    def call(self, name: str, /, **fields: Any) -> Any:
        """The answer of a method to a request with these fields."""
        method = self._pool.FindServiceByName(SERVICE).FindMethodByName(name)
        ask = self._channel.unary_unary(
            f"/{SERVICE}/{name}",
            request_serializer=lambda message: message.SerializeToString(),
            response_deserializer=GetMessageClass(method.output_type).FromString,
        )
        return ask(GetMessageClass(method.input_type)(**fields), timeout=DEADLINE_S)


def main() -> None:
    """Try all features."""
    feature = Features()
    with grpc.insecure_channel(addresses()["grpc"]) as channel:
        reflected = Reflected(channel)
        _health(feature, health_pb2_grpc.HealthStub(channel))
        _reflection(feature, reflected, channel)
        _protocol(feature, reflected, channel)
        feature.run()


def _health(feature: Features, stub: Any) -> None:
    @feature("health_service")
    def health() -> None:
        for name in ("", SERVICE):
            answer = stub.Check(health_pb2.HealthCheckRequest(service=name), timeout=DEADLINE_S)
            assert answer.status == health_pb2.HealthCheckResponse.SERVING, name
        with raises(grpc.RpcError, "NOT_FOUND"):
            stub.Check(health_pb2.HealthCheckRequest(service="nobody"), timeout=DEADLINE_S)

    @feature("health_watch")
    def watch() -> None:
        seen = stub.Watch(health_pb2.HealthCheckRequest(service=""), timeout=DEADLINE_S)
        assert next(seen).status == health_pb2.HealthCheckResponse.SERVING
        seen.cancel()


def _reflection(feature: Features, reflected: Reflected, channel: grpc.Channel) -> None:
    @feature("reflection")
    def reflection() -> None:
        services = set(ProtoReflectionDescriptorDatabase(channel).get_services())
        assert {SERVICE, "grpc.health.v1.Health"} <= services, services
        assert REQUIRED | {"ModelInfer"} <= reflected.methods(), reflected.methods()


def _protocol(feature: Features, reflected: Reflected, channel: grpc.Channel) -> None:
    call = reflected.call

    def holds(name: str, field: str, /, **fields: str) -> None:
        assert getattr(call(name, **fields), field) is True

    feature("live")(lambda: holds("ServerLive", "live"))
    feature("ready")(lambda: holds("ServerReady", "ready"))
    feature("model_ready")(lambda: holds("ModelReady", "ready", name="simple"))

    @feature("server_metadata")
    def server() -> None:
        assert call("ServerMetadata").name == "weir"

    @feature("model_metadata")
    def model() -> None:
        said = call("ModelMetadata", name="simple")
        found = [(each.name, each.datatype, list(each.shape)) for each in said.inputs]
        assert found == [(f"INPUT{i}", "INT32", [-1, 16]) for i in (0, 1)], found

    @feature("typed_contents")
    def typed() -> None:
        inputs = [
            {
                "name": f"INPUT{i}",
                "datatype": "INT32",
                "shape": [1, 16],
                "contents": {"int_contents": [i + 1] * 16},
            }
            for i in (0, 1)
        ]
        answer = call("ModelInfer", model_name="simple", inputs=inputs)
        found = [np.frombuffer(raw, np.int32).tolist() for raw in answer.raw_output_contents]
        assert found == [[3] * 16, [-1] * 16], found

    @feature("unknown_model")
    def unknown() -> None:
        with raises(grpc.RpcError, "NOT_FOUND", "nobody"):
            call("ModelMetadata", name="nobody")

    @feature("unknown_method")
    def method() -> None:
        with raises(grpc.RpcError, "UNIMPLEMENTED"):
            channel.unary_unary(f"/{SERVICE}/Guess")(b"", timeout=DEADLINE_S)


if __name__ == "__main__":
    main()
