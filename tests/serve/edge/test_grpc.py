"""The inference port over real gRPC, with a real model behind it."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

import grpc
import pytest
from google.protobuf.message import Message
from grpc_health.v1.health_pb2 import HealthCheckRequest, HealthCheckResponse
from grpc_reflection.v1alpha.reflection_pb2 import (
    ServerReflectionRequest,
    ServerReflectionResponse,
)

from configs.errors import Breach
from configs.settings import Limits, Repository, Settings
from monitors.telemetry import names
from registry.records import FULL, Arm, Route, RouteTable
from serve.edge.grpc_calls import METHODS, SERVICE
from serve.edge.grpc_connections import GrpcConnections
from serve.models.frames import Tensors
from serve.protocol import inference_pb2 as messages
from serve.router import Router
from tests.serve.protocol.encoders import message, packed, tensor
from tests.serve.stage import GRPC, Stage, stage
from tests.serve.versions import GROUPED, MODEL, SALT, run_of, table
from tests.serve.waiting import wait_until

CAP = 2**20
Metadata = tuple[tuple[str, str], ...]
_PATIENCE_S = 30.0


class Gate:
    """A model that answers once it is let."""

    def __init__(self) -> None:
        self._run = run_of(1)
        self.open = threading.Event()
        self.open.set()
        self.waiting = 0

    def run(self, inputs: Tensors) -> Tensors:
        """Wait, then answer as the regressor does."""
        self.waiting += 1
        self.open.wait(_PATIENCE_S)
        self.waiting -= 1
        return self._run(inputs)


class Client:
    """A client of the service that knows no generated stubs."""

    def __init__(self, port: int, options: list[tuple[str, Any]] | None = None) -> None:
        self.channel = grpc.insecure_channel(f"127.0.0.1:{port}", options)

    def method(self, name: str) -> Any:
        """One method of the service, to be called or to be kept."""
        method = METHODS[name]
        return self.channel.unary_unary(
            f"/{SERVICE}/{name}",
            request_serializer=method.takes.SerializeToString,
            response_deserializer=method.gives.FromString,
        )

    def call(self, name: str, sent: Message | None = None, **more: Any) -> Any:
        """Call a method and give its answer."""
        more.setdefault("timeout", _PATIENCE_S)
        return self.method(name)(sent if sent is not None else METHODS[name].takes(), **more)

    def refused(self, name: str, sent: Message | None = None, **more: Any) -> Any:
        """Call a method that fails, and give the error."""
        with pytest.raises(grpc.RpcError) as caught:
            self.call(name, sent, **more)
        return caught.value


@pytest.fixture(scope="module")
def gate() -> Gate:
    """What holds up version 1."""
    return Gate()


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory, gate: Gate) -> Iterator[Stage]:
    """A gateway with hosts of versions 1 and 2."""
    settings = Settings(listen=GRPC, limits=Limits(drain_s=1.0, body_max_bytes=CAP))
    with stage(tmp_path_factory.mktemp("run"), settings=settings) as opened:
        opened.start_host(1, gate.run)
        opened.start_host(2)
        yield opened


@pytest.fixture
def client(served: Stage) -> Iterator[Client]:
    """A client of a gateway whose version 1 serves alone."""
    served.apply(table(served.next_generation(), {1: FULL}))
    client = Client(served.grpc_port)
    yield client
    client.channel.close()


def row(*values: float, name: str = MODEL, **more: Any) -> messages.ModelInferRequest:
    """A request of one row."""
    sent = message({"inputs": [tensor("x", "FP32", [1, 3], data=values)], **more}, raw=True)
    sent.model_name = name
    return sent


def trailing(call: Any) -> dict[str, str]:
    """What stands behind an answer or an error."""
    return {str(key): str(value) for key, value in call.trailing_metadata()}


def test_an_answer(client: Client) -> None:
    """The sum of the row plus the version's number, packed, with what its metadata says."""
    sent = row(1, 2, 3, id="mine")
    answer, call = client.method("ModelInfer").with_call(sent, timeout=_PATIENCE_S)

    told = trailing(call)
    assert (answer.model_name, answer.model_version, answer.id) == (MODEL, "1", "mine")
    assert {name: each.string_param for name, each in answer.parameters.items()} == {
        "weir_prediction_id": told["weir-prediction-id"],
        "weir_arm": "stable",
    }
    (output,) = answer.outputs
    assert (output.name, output.datatype, list(output.shape)) == ("y", "FP32", [1, 1])
    assert list(answer.raw_output_contents) == [packed("FP32", [7.0])]
    assert (told["weir-version"], told["weir-arm"]) == ("1", "stable")
    assert len(bytes.fromhex(told["weir-prediction-id"])) == 16


def named(kind: type[Message], **more: str) -> Message:
    """A message that names the model."""
    return kind(name=MODEL, **more)


def test_what_every_other_method_tells(client: Client, served: Stage) -> None:
    """Server, model, configuration, statistics and index say what HTTP says."""
    grouped = table(served.next_generation(), {1: FULL}, previous=2, card=GROUPED)
    registered = {MODEL: (1, 2, 3)}
    served.apply(table(served.next_generation(), {2: FULL}))
    served.apply(RouteTable(served.next_generation(), grouped.models, registered))

    assert client.call("ServerLive").live
    assert client.call("ServerReady").ready
    assert client.call("ModelReady", named(messages.ModelReadyRequest)).ready
    assert client.call("ModelReady", named(messages.ModelReadyRequest, version="2")).ready
    assert client.call("ServerMetadata").name == "weir"
    assert "statistics" in client.call("ServerMetadata").extensions
    model = client.call("ModelMetadata", named(messages.ModelMetadataRequest))
    assert (model.name, list(model.versions)) == (MODEL, ["1", "2"])
    inputs = [(each.name, each.datatype, list(each.shape)) for each in model.inputs]
    assert inputs == [("x", "FP32", [-1, 3]), ("sex", "BYTES", [-1])]
    config = client.call("ModelConfig", named(messages.ModelConfigRequest)).config
    assert (config.name, config.max_batch_size) == (MODEL, 256)
    assert config.HasField("dynamic_batching")
    assert [each.optional for each in config.input] == [False, True]
    assert [list(each.dims) for each in config.output] == [[1]]
    assert config.output[0].data_type == messages.TYPE_FP32
    index = client.call("RepositoryIndex").models
    assert [(each.name, each.version, each.state) for each in index] == [
        (MODEL, "1", "READY"),
        (MODEL, "2", "READY"),
        (MODEL, "3", "UNAVAILABLE"),
    ]
    ready = client.call("RepositoryIndex", messages.RepositoryIndexRequest(ready=True)).models
    assert [each.version for each in ready] == ["1", "2"]


def test_statistics_count_answers(client: Client) -> None:
    """Each answer is one success and its rows, for the version, the model and all models."""
    asked = messages.ModelStatisticsRequest(name=MODEL, version="1")

    def rows() -> int:
        return int(client.call("ModelStatistics", asked).model_stats[0].inference_count)

    before = rows()
    for _ in range(3):
        client.call("ModelInfer", row(1, 2, 3))

    wait_until(lambda: rows() == before + 3, "three rows")
    (one,) = client.call("ModelStatistics", asked).model_stats
    assert (one.name, one.version) == (MODEL, "1")
    assert one.inference_stats.success.count >= 3
    assert one.inference_stats.success.ns > 0
    assert abs(one.last_inference / 1000 - time.time()) < 60
    assert len(client.call("ModelStatistics").model_stats) == 1
    of_model = messages.ModelStatisticsRequest(name=MODEL)
    assert len(client.call("ModelStatistics", of_model).model_stats) == 1


BAD = message({"inputs": [tensor("x", "FP32", [1, 2], data=[1.0, 2.0])]}, raw=True)


@pytest.mark.parametrize(
    ("name", "sent", "status", "code", "says"),
    [
        pytest.param(
            "ModelInfer", BAD, "INVALID_ARGUMENT", "bad_tensor", "must have shape", id="tensor"
        ),
        pytest.param(
            "ModelInfer",
            messages.ModelInferRequest(model_name=MODEL),
            "INVALID_ARGUMENT",
            "bad_input",
            "'inputs' must be",
            id="empty",
        ),
        pytest.param(
            "ModelInfer", row(1, 2, 3, name="w"), "NOT_FOUND", "model_not_found", "'w'", id="model"
        ),
        pytest.param(
            "ModelInfer",
            messages.ModelInferRequest(model_name=MODEL, model_version="9"),
            "INVALID_ARGUMENT",
            "bad_input",
            "'inputs'",
            id="two-faults",
        ),
        pytest.param(
            "ModelReady",
            messages.ModelReadyRequest(name=MODEL, version="9"),
            "NOT_FOUND",
            "version_not_found",
            "9",
            id="version",
        ),
        pytest.param(
            "ModelMetadata",
            messages.ModelMetadataRequest(name=MODEL, version="x"),
            "NOT_FOUND",
            "version_not_found",
            "'x'",
            id="version-name",
        ),
        pytest.param(
            "ModelConfig",
            messages.ModelConfigRequest(name="ü" * 5000),
            "NOT_FOUND",
            "model_not_found",
            "is served",
            id="long-name",
        ),
        pytest.param(
            "ModelStatistics",
            messages.ModelStatisticsRequest(name="w"),
            "NOT_FOUND",
            "model_not_found",
            "'w'",
            id="statistics",
        ),
        pytest.param(
            "RepositoryModelLoad",
            messages.RepositoryModelLoadRequest(model_name=MODEL),
            "PERMISSION_DENIED",
            "forbidden",
            "repository.control",
            id="load",
        ),
        pytest.param(
            "RepositoryModelUnload",
            messages.RepositoryModelUnloadRequest(model_name=MODEL),
            "PERMISSION_DENIED",
            "forbidden",
            "repository.control",
            id="unload",
        ),
        pytest.param(
            "ModelInfer",
            row(1, 2, 3, parameters={"sequence_id": 1}),
            "UNIMPLEMENTED",
            "not_supported",
            "sequences",
            id="sequence",
        ),
    ],
)
def test_errors(
    client: Client, name: str, sent: Message, status: str, code: str, says: str
) -> None:
    """Each error has its status, a sentence, its code and the request's id."""
    error = client.refused(name, sent)

    assert error.code().name == status
    assert says in error.details()
    assert trailing(error)["weir-error-code"] == code
    assert len(bytes.fromhex(trailing(error)["weir-request-id"])) == 16


@pytest.mark.parametrize("name", ["n" * 20_000, "ü" * 20_000])
def test_a_long_name_of_an_input_does_not_hide_the_error(client: Client, name: str) -> None:
    """What is told back fits in what clients take as metadata."""
    sent = row(1, 2, 3)
    sent.inputs[0].name = name
    sent.inputs[0].shape[0] = -1

    error = client.refused("ModelInfer", sent)

    assert error.code() is grpc.StatusCode.INVALID_ARGUMENT
    assert trailing(error)["weir-error-code"] == "bad_tensor"


def calls(served: Stage, method: str, status: str, code: str) -> int:
    """How many calls of a method ended so."""
    series = (names.CALL_DURATION.name, ("grpc", f"{SERVICE}/{method}", status, code))
    found = served.counts().histograms.get(series)
    return sum(found.buckets) if found else 0


def test_calls_are_counted_by_method_and_status(client: Client, served: Stage) -> None:
    """Every call is in exactly one series of `rpc.server.call.duration`."""
    ends = [("ModelInfer", "OK", ""), ("ModelInfer", "INVALID_ARGUMENT", "bad_tensor")]
    ends.append(("ServerLive", "OK", ""))
    before = [calls(served, *end) for end in ends]

    for _ in range(4):
        client.call("ModelInfer", row(1, 2, 3))
    for _ in range(3):
        client.refused("ModelInfer", BAD)
    client.call("ServerLive")

    wait_until(
        lambda: (
            [calls(served, *end) for end in ends]
            == [count + more for count, more in zip(before, (4, 3, 1), strict=True)]
        ),
        "all calls are counted",
    )


def test_calls_that_break_the_contract_are_counted(client: Client, served: Stage) -> None:
    """By what of it they break, as over HTTP."""
    series = (names.REQUESTS_REFUSED.name, (MODEL, Breach.SHAPE.value))
    before = served.counts().counters.get(series, 0)
    sent = row(1, 2, 3)
    sent.inputs[0].shape[0] = -1

    for _ in range(2):
        client.refused("ModelInfer", sent)
        client.call("ModelInfer", row(1, 2, 3))

    wait_until(
        lambda: served.counts().counters.get(series, 0) == before + 2, "both calls are counted"
    )


@pytest.fixture
def held(gate: Gate) -> Iterator[Gate]:
    """Version 1, which answers nobody before it is let."""
    gate.open.clear()
    yield gate
    gate.open.set()
    wait_until(lambda: gate.waiting == 0, "the model is free")


@pytest.mark.parametrize(
    "more",
    [
        pytest.param({"timeout": 0.2}, id="deadline"),
        pytest.param({"metadata": (("weir-timeout-ms", "200"),)}, id="metadata"),
        pytest.param({"timeout": 0.2, "metadata": (("weir-timeout-ms", "9e9"),)}, id="longer"),
        pytest.param({"parameters": {"timeout": 200_000}}, id="parameter"),
    ],
)
def test_a_client_that_does_not_wait(
    client: Client, held: Gate, served: Stage, more: dict[str, Any]
) -> None:
    """The shortest of all times that are named is when the request is given up."""
    sent = row(1, 2, 3, **({"parameters": more.pop("parameters")} if "parameters" in more else {}))
    began = time.monotonic()

    error = client.refused("ModelInfer", sent, **more)

    assert error.code() is grpc.StatusCode.DEADLINE_EXCEEDED
    assert time.monotonic() - began < _PATIENCE_S / 2
    wait_until(lambda: served.reception.open_requests == 0, "the request has ended")


@pytest.mark.parametrize("value", ["0", "-1", "nan", "", "soon"])
def test_a_time_out_that_is_none(client: Client, value: str) -> None:
    """A time-out that cannot be kept is refused, not ignored."""
    error = client.refused("ModelInfer", row(1, 2, 3), metadata=(("weir-timeout-ms", value),))

    assert error.code() is grpc.StatusCode.INVALID_ARGUMENT
    assert "Weir-Timeout-Ms" in error.details()


def test_a_client_that_leaves(client: Client, held: Gate, served: Stage) -> None:
    """A cancelled call is given up at once, and counted as such."""
    before = calls(served, "ModelInfer", "CANCELLED", "client_gone")
    call = client.method("ModelInfer").future(row(1, 2, 3), timeout=_PATIENCE_S)
    wait_until(lambda: served.reception.open_requests == 1, "the request has begun")

    call.cancel()

    wait_until(lambda: served.reception.open_requests == 0, "the request has ended")
    wait_until(
        lambda: calls(served, "ModelInfer", "CANCELLED", "client_gone") == before + 1,
        "it is counted",
    )


def test_a_message_above_the_cap(client: Client) -> None:
    """It is refused before it is kept, and the connection lives."""
    sent = row(1, 2, 3)
    sent.raw_input_contents[0] = bytes(CAP)

    error = client.refused("ModelInfer", sent)

    assert error.code() is grpc.StatusCode.RESOURCE_EXHAUSTED
    assert client.call("ServerLive").live


@pytest.mark.parametrize("compression", [grpc.Compression.Gzip, grpc.Compression.Deflate])
def test_compressed_messages(client: Client, compression: grpc.Compression) -> None:
    """Messages may come compressed, and the cap holds for what they inflate to."""
    assert client.call("ModelInfer", row(1, 2, 3), compression=compression).outputs
    sent = row(1, 2, 3)
    sent.raw_input_contents[0] = bytes(8 * CAP)

    error = client.refused("ModelInfer", sent, compression=compression)

    assert error.code() is grpc.StatusCode.RESOURCE_EXHAUSTED


@pytest.mark.parametrize("sent", [b"\xff\xff", b"\x0a\x02\xff\xfe"], ids=["wire", "not-utf8"])
def test_what_is_no_message(client: Client, served: Stage, sent: bytes) -> None:
    """Bytes that are none are the client's fault, told like any other and counted."""
    call: Callable[..., Any] = client.channel.unary_unary(f"/{SERVICE}/ModelInfer")

    with pytest.raises(grpc.RpcError) as caught:
        call(sent, timeout=_PATIENCE_S)

    error: Any = caught.value
    assert error.code() is grpc.StatusCode.INVALID_ARGUMENT
    assert trailing(error)["weir-error-code"] == "bad_input"
    assert "class" not in error.details()


def test_streams_are_refused(client: Client) -> None:
    """The one method that is not offered says which to use."""
    stream = client.channel.stream_stream(
        f"/{SERVICE}/ModelStreamInfer",
        request_serializer=messages.ModelInferRequest.SerializeToString,
        response_deserializer=messages.ModelInferResponse.FromString,
    )

    with pytest.raises(grpc.RpcError) as caught:
        list(stream(iter([row(1, 2, 3)]), timeout=_PATIENCE_S))

    error: Any = caught.value
    assert error.code() is grpc.StatusCode.UNIMPLEMENTED
    assert "use ModelInfer" in error.details()
    assert trailing(error)["weir-error-code"] == "not_supported"


def test_a_stream_without_a_message_is_refused_too(client: Client) -> None:
    """Nobody waits for long for what may never come."""
    stream = client.channel.stream_stream(f"/{SERVICE}/ModelStreamInfer")
    end = threading.Event()

    def nothing() -> Iterator[bytes]:
        end.wait(_PATIENCE_S)
        yield from ()

    with pytest.raises(grpc.RpcError) as caught:
        list(stream(nothing(), timeout=_PATIENCE_S))
    end.set()
    error: Any = caught.value
    assert error.code() is grpc.StatusCode.UNIMPLEMENTED


def test_a_unit_always_meets_the_same_arm(client: Client, served: Stage) -> None:
    """`weir-key` in the metadata decides between the arms, as the router alone would."""
    served.apply(table(served.next_generation(), {1: 5000, 2: 5000}))
    router = Router(Route(MODEL, 1, 1, (Arm(1, 5000), Arm(2, 5000)), SALT))

    for unit in range(20):
        key = f"user-{unit}"
        choice = router.choose(key.encode(), 0)
        for _ in range(2):
            answer, call = client.method("ModelInfer").with_call(
                row(1, 2, 3), metadata=(("weir-key", key),), timeout=_PATIENCE_S
            )
            assert answer.model_version == trailing(call)["weir-version"] == str(choice.version)
            assert trailing(call)["weir-arm"] == choice.role.value


def test_a_pin_decides_the_version(client: Client, served: Stage) -> None:
    """A version in the message answers as `pinned`; an alias means the part in the route."""
    served.apply(table(served.next_generation(), {1: FULL}, previous=2))
    sent = row(1, 2, 3)

    sent.model_version = "2"
    answer, call = client.method("ModelInfer").with_call(sent, timeout=_PATIENCE_S)
    assert (answer.model_version, trailing(call)["weir-arm"]) == ("2", "pinned")
    assert list(answer.raw_output_contents) == [packed("FP32", [8.0])]


def check(client: Client, service: str = "") -> Any:
    """What the standard health service says."""
    call: Callable[..., Any] = client.channel.unary_unary(
        "/grpc.health.v1.Health/Check",
        request_serializer=HealthCheckRequest.SerializeToString,
        response_deserializer=HealthCheckResponse.FromString,
    )
    return call(HealthCheckRequest(service=service), timeout=_PATIENCE_S).status


def watch(client: Client, service: str) -> Any:
    """What the standard health service says from now on."""
    call: Callable[..., Any] = client.channel.unary_stream(
        "/grpc.health.v1.Health/Watch",
        request_serializer=HealthCheckRequest.SerializeToString,
        response_deserializer=HealthCheckResponse.FromString,
    )
    return call(HealthCheckRequest(service=service), timeout=_PATIENCE_S)


@pytest.mark.parametrize("service", ["", SERVICE])
def test_standard_health(client: Client, served: Stage, service: str) -> None:
    """The standard service follows readiness, asked once or watched."""
    assert check(client, service) == HealthCheckResponse.SERVING
    seen = watch(client, service)
    assert next(seen).status == HealthCheckResponse.SERVING

    served.apply(table(served.next_generation(), {3: FULL}), connect_s=0.05)

    assert next(seen).status == HealthCheckResponse.NOT_SERVING
    assert check(client, service) == HealthCheckResponse.NOT_SERVING
    seen.cancel()


def test_watchers_have_a_limit(client: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    """Who watches needs no key and never ends, so only so many may; one that leaves makes room."""
    monkeypatch.setattr("serve.edge.grpc_health._WATCHERS", 2)
    watching = [watch(client, "") for _ in range(2)]
    for each in watching:
        assert next(each).status == HealthCheckResponse.SERVING

    with pytest.raises(grpc.RpcError) as caught:
        next(watch(client, ""))
    error: Any = caught.value
    assert error.code() is grpc.StatusCode.RESOURCE_EXHAUSTED

    for each in watching:
        each.cancel()
    wait_until(lambda: _can_watch(client), "there is room again")


def _can_watch(client: Client) -> bool:
    seen = watch(client, "")
    try:
        return bool(next(seen).status == HealthCheckResponse.SERVING)
    except grpc.RpcError:
        return False
    finally:
        seen.cancel()


def test_health_of_what_is_not_there(client: Client) -> None:
    """Unknown services are not found, or unknown while they are watched."""
    with pytest.raises(grpc.RpcError) as caught:
        check(client, "other")
    error: Any = caught.value
    assert error.code() is grpc.StatusCode.NOT_FOUND
    assert trailing(error)["weir-error-code"] == "not_found"
    assert len(bytes.fromhex(trailing(error)["weir-request-id"])) == 16
    seen = watch(client, "other")
    assert next(seen).status == HealthCheckResponse.SERVICE_UNKNOWN
    seen.cancel()


def test_reflection_lists_the_services(client: Client) -> None:
    """A tool that knows nothing can find out what there is, and how each method is called."""
    ask: Callable[..., Any] = client.channel.stream_stream(
        "/grpc.reflection.v1alpha.ServerReflection/ServerReflectionInfo",
        request_serializer=ServerReflectionRequest.SerializeToString,
        response_deserializer=ServerReflectionResponse.FromString,
    )
    asked = [
        ServerReflectionRequest(list_services=""),
        ServerReflectionRequest(file_containing_symbol=SERVICE),
    ]

    listed, described = ask(iter(asked), timeout=_PATIENCE_S)

    services = {each.name for each in listed.list_services_response.service}
    assert {SERVICE, "grpc.health.v1.Health"} <= services
    assert described.file_descriptor_response.file_descriptor_proto


REFLECTION = "/grpc.reflection.v1alpha.ServerReflection/ServerReflectionInfo"


@pytest.mark.parametrize(
    "ask",
    [
        pytest.param(lambda client: client.call("ModelInfer", row(1, 2, 3)), id="infer"),
        pytest.param(lambda client: client.call("ServerLive"), id="live"),
        pytest.param(
            lambda client: client.channel.unary_unary("/grpc.health.v1.Health/Check")(b""),
            id="check",
        ),
        pytest.param(
            lambda client: list(client.channel.unary_stream("/grpc.health.v1.Health/Watch")(b"")),
            id="watch",
        ),
        pytest.param(
            lambda client: list(client.channel.stream_stream(REFLECTION)(iter([b"\x3a\0"]))),
            id="reflection",
        ),
    ],
)
def test_an_answer_for_which_there_is_no_room(
    client: Client, monkeypatch: pytest.MonkeyPatch, ask: Callable[[Client], object]
) -> None:
    """A call is let in, and then there wait too many answers: it is told to try again."""
    assert client.call("ServerLive").live
    room = iter([True])
    monkeypatch.setattr(GrpcConnections, "has_room", lambda _self, _untaken: next(room, False))

    with pytest.raises(grpc.RpcError) as caught:
        ask(client)
    error: Any = caught.value
    assert error.code() is grpc.StatusCode.UNAVAILABLE
    assert dict(error.trailing_metadata())["weir-error-code"] == "overloaded"
    monkeypatch.undo()
    assert client.call("ServerLive").live


def test_reflection_has_an_end(client: Client) -> None:
    """A stream that asks for more than a tool needs is ended."""
    ask: Callable[..., Any] = client.channel.stream_stream(
        "/grpc.reflection.v1alpha.ServerReflection/ServerReflectionInfo",
        request_serializer=ServerReflectionRequest.SerializeToString,
        response_deserializer=ServerReflectionResponse.FromString,
    )
    asked = [ServerReflectionRequest(file_containing_symbol=SERVICE)] * 1000

    with pytest.raises(grpc.RpcError) as caught:
        list(ask(iter(asked), timeout=_PATIENCE_S))
    error: Any = caught.value
    assert error.code() is grpc.StatusCode.UNAVAILABLE


def test_a_method_that_is_not_there(client: Client) -> None:
    """It is told in the shape of all errors."""
    call: Callable[..., Any] = client.channel.unary_unary(f"/{SERVICE}/Nothing")

    with pytest.raises(grpc.RpcError) as caught:
        call(b"", timeout=_PATIENCE_S)
    error: Any = caught.value
    assert error.code() is grpc.StatusCode.UNIMPLEMENTED
    assert trailing(error)["weir-error-code"] == "not_supported"


def test_binary_metadata_are_let_pass(client: Client) -> None:
    """What is not meant for us harms nobody."""
    metadata = (("grpc-trace-bin", b"\0\xff"), ("x-bin", bytes(300)))

    assert client.call("ModelInfer", row(1, 2, 3), metadata=metadata).outputs


def test_the_methods_are_those_of_the_description() -> None:
    """Every method that the description has is served, with its messages."""
    service = messages.DESCRIPTOR.services_by_name["GRPCInferenceService"]

    assert {
        name: (method.takes.DESCRIPTOR, method.gives.DESCRIPTOR) for name, method in METHODS.items()
    } == {each.name: (each.input_type, each.output_type) for each in service.methods}


def test_a_fault_of_ours(client: Client, served: Stage) -> None:
    """A client is told nothing of it but that it is ours."""
    contract = served.gateway.model_version(MODEL, 1).contract
    whole, contract._all = contract._all, {}
    try:
        error = client.refused("ModelInfer", row(1, 2, 3))
    finally:
        contract._all = whole

    assert (error.code(), error.details()) == (grpc.StatusCode.INTERNAL, "internal error")
    assert trailing(error)["weir-error-code"] == "internal"


class Asked:
    """A control plane that remembers what it was asked."""

    def __init__(self) -> None:
        self.asked: list[tuple[str, str, str]] = []

    async def load(self, model: str, actor: str) -> None:
        """Remember."""
        self.asked.append(("load", model, actor))

    async def unload(self, model: str, actor: str) -> None:
        """Remember."""
        self.asked.append(("unload", model, actor))


def test_loading_and_unloading(tmp_path_factory: pytest.TempPathFactory) -> None:
    """Where clients may, the control plane is asked; nothing can be sent along."""
    repository = Asked()
    settings = Settings(listen=GRPC, repository=Repository(control=True))
    load, unload = messages.RepositoryModelLoadRequest, messages.RepositoryModelUnloadRequest
    with stage(tmp_path_factory.mktemp("r"), settings=settings, repository=repository) as opened:
        opened.apply(RouteTable(generation=1))
        client = Client(opened.grpc_port)
        assert client.call("RepositoryModelLoad", load(model_name="a")).isLoaded
        assert client.call("RepositoryModelLoad", load(repository_name="b")).model_name == "b"
        gone = unload(model_name="a")
        gone.parameters["unload_dependents"].bool_param = True
        assert client.call("RepositoryModelUnload", gone).isUnloaded
        sent = load(model_name="c")
        sent.parameters["file:1/model.onnx"].bytes_param = b"x"
        assert client.refused("RepositoryModelLoad", sent).code().name == "UNIMPLEMENTED"
        client.channel.close()

    assert repository.asked == [
        ("load", "a", "anonymous"),
        ("load", "b", "anonymous"),
        ("unload", "a", "anonymous"),
    ]


def _is_live(client: Client) -> bool:
    try:
        return bool(client.call("ServerLive", timeout=0.5).live)
    except grpc.RpcError:
        return False


def test_a_drain_lets_open_calls_finish(tmp_path_factory: pytest.TempPathFactory) -> None:
    """What has begun is answered; what comes later goes elsewhere."""
    gate = Gate()
    with stage(tmp_path_factory.mktemp("d"), settings=Settings(listen=GRPC)) as opened:
        opened.start_host(1, gate.run)
        opened.apply(table(1, {1: FULL}))
        client = Client(opened.grpc_port)
        gate.open.clear()
        call = client.method("ModelInfer").future(row(1, 2, 3), timeout=_PATIENCE_S)
        wait_until(lambda: opened.reception.open_requests == 1, "the request has begun")
        draining = threading.Thread(target=opened.drain, args=(_PATIENCE_S,))
        draining.start()
        wait_until(lambda: opened.reception.draining, "the drain has begun")

        late = Client(opened.grpc_port)
        wait_until(lambda: not _is_live(late), "no new calls")
        gate.open.set()

        assert list(call.result(_PATIENCE_S).raw_output_contents) == [packed("FP32", [7.0])]
        draining.join(_PATIENCE_S)
        assert not draining.is_alive()
        client.channel.close()
        late.channel.close()
