"""Who may ask the inference ports for what, over HTTP and over gRPC."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import grpc
import httpx
import pytest
from grpc_health.v1.health_pb2 import HealthCheckRequest, HealthCheckResponse
from grpc_reflection.v1alpha.reflection_pb2 import (
    ServerReflectionRequest,
    ServerReflectionResponse,
)

from configs.settings import Access, Limits, Repository, Settings
from registry.keys import AccessRole, Token
from registry.records import FULL
from serve.access.door import Door
from serve.edge.grpc_calls import METHODS
from serve.protocol import inference_pb2 as messages
from serve.protocol.paths import AFTERWARDS, POSTED, Ask
from tests.serve.access.keys import bearer, key_of, token
from tests.serve.edge.test_bodies import GOOD
from tests.serve.edge.test_grpc import Asked, Client, row, trailing
from tests.serve.observing import AWAITING, Observing
from tests.serve.stage import GRPC, Stage, stage
from tests.serve.versions import MODEL, table

KEYS = {role: token(place + 1) for place, role in enumerate(AccessRole)}
EXPIRED, UNKNOWN, SLOW = token(100), token(101), token(102)
STRANGERS: dict[str, bytes | None] = {
    "no key": None,
    "malformed": b"Bearer weir_x",
    "another scheme": b"Basic " + KEYS[AccessRole.ADMIN].text().encode(),
    "unknown": bearer(UNKNOWN),
    "wrong secret": bearer(Token(KEYS[AccessRole.ADMIN].id, UNKNOWN.secret)),
    "expired": bearer(EXPIRED),
}
EVERYBODY = frozenset(AccessRole)
ASKING = frozenset({AccessRole.CLIENT, AccessRole.DEPLOYER, AccessRole.ADMIN})
DEPLOYING = frozenset({AccessRole.DEPLOYER, AccessRole.ADMIN})
AUDITING = frozenset({AccessRole.AUDITOR, AccessRole.ADMIN})
OPEN = None
"""Without a key."""

HTTP: dict[Ask, frozenset[AccessRole] | None] = {
    Ask.SERVER: OPEN,
    Ask.LIVE: OPEN,
    Ask.READY: OPEN,
    Ask.OPENAPI: OPEN,
    Ask.MODELS: EVERYBODY,
    Ask.MODEL: EVERYBODY,
    Ask.MODEL_READY: EVERYBODY,
    Ask.CONFIG: EVERYBODY,
    Ask.STATISTICS: EVERYBODY,
    Ask.ALL_STATISTICS: EVERYBODY,
    Ask.INDEX: EVERYBODY,
    Ask.INFER: ASKING,
    Ask.EXPLAIN: ASKING,
    Ask.LOAD: DEPLOYING,
    Ask.UNLOAD: DEPLOYING,
    Ask.FEEDBACK: ASKING,
    Ask.GROUPS: AUDITING,
}
CALLS: dict[str, frozenset[AccessRole] | None] = {
    "ServerLive": OPEN,
    "ServerReady": OPEN,
    "ServerMetadata": OPEN,
    "ModelReady": EVERYBODY,
    "ModelMetadata": EVERYBODY,
    "ModelConfig": EVERYBODY,
    "ModelStatistics": EVERYBODY,
    "RepositoryIndex": EVERYBODY,
    "ModelInfer": ASKING,
    "RepositoryModelLoad": DEPLOYING,
    "RepositoryModelUnload": DEPLOYING,
}
SENT: dict[str, Any] = {
    "ModelReady": messages.ModelReadyRequest(name=MODEL),
    "ModelMetadata": messages.ModelMetadataRequest(name=MODEL),
    "ModelConfig": messages.ModelConfigRequest(name=MODEL),
    "ModelInfer": row(1, 2, 3),
    "RepositoryModelLoad": messages.RepositoryModelLoadRequest(model_name=MODEL),
    "RepositoryModelUnload": messages.RepositoryModelUnloadRequest(model_name=MODEL),
}
BODIES = {
    Ask.INFER: GOOD,
    Ask.EXPLAIN: GOOD,
    Ask.FEEDBACK: b'{"labels": [{}]}',
    Ask.GROUPS: b'{"groups": [{}]}',
}
CALLERS = [*STRANGERS, *AccessRole]


def shown(caller: str) -> bytes | None:
    """What a caller shows."""
    return STRANGERS[caller] if caller in STRANGERS else bearer(KEYS[AccessRole(caller)])


@pytest.fixture(scope="module")
def repository() -> Asked:
    """A control plane that remembers what it was asked."""
    return Asked()


@pytest.fixture(scope="module")
def observer() -> Observing:
    """An observer that remembers what it was sent."""
    return Observing()


@pytest.fixture(scope="module")
def guarded(
    tmp_path_factory: pytest.TempPathFactory, repository: Asked, observer: Observing
) -> Iterator[Stage]:
    """A gateway that asks for keys."""
    door = Door(required=True)
    settings = Settings(
        listen=GRPC,
        limits=Limits(drain_s=1.0),
        access=Access(required=True),
        repository=Repository(control=True),
    )
    with stage(
        tmp_path_factory.mktemp("run"),
        settings=settings,
        door=door,
        repository=repository,
        observer=observer,
    ) as opened:
        opened.start_host(1)
        opened.apply(table(1, {1: FULL}, card=AWAITING))
        door.keys(
            [
                *(key_of(each, role) for role, each in KEYS.items()),
                key_of(EXPIRED, AccessRole.ADMIN, expires_at="2001-01-01T00:00:00+00:00"),
                key_of(SLOW, AccessRole.CLIENT, rate_per_s=0.02),
            ]
        )
        yield opened


@pytest.fixture
def http(guarded: Stage) -> Iterator[httpx.Client]:
    """A client of the HTTP port."""
    with httpx.Client(base_url=guarded.url, trust_env=False) as client:
        yield client


@pytest.fixture
def calls(guarded: Stage) -> Iterator[Client]:
    """A client of the gRPC port."""
    client = Client(guarded.grpc_port)
    yield client
    client.channel.close()


def test_everything_has_a_row() -> None:
    """What can be asked anew says here who may ask it."""
    assert set(HTTP) == set(Ask)
    assert set(CALLS) == set(METHODS)


def ask(http: httpx.Client, what: Ask, authorization: bytes | None) -> httpx.Response:
    """Ask for something over HTTP."""
    headers = {} if authorization is None else {"authorization": authorization.decode()}
    content = BODIES.get(what, b"")
    path = what.value.replace("{model}", MODEL)
    return http.request("POST" if what in POSTED else "GET", path, headers=headers, content=content)


@pytest.mark.parametrize("caller", CALLERS)
@pytest.mark.parametrize("what", Ask, ids=[each.name for each in Ask])
def test_who_may_ask_over_http(
    http: httpx.Client, repository: Asked, observer: Observing, what: Ask, caller: str
) -> None:
    """The table decides; who is unknown gets 401, who is known and may not 403."""
    repository.asked.clear()
    observer.sent.clear()
    allowed = HTTP[what]

    reply = ask(http, what, shown(caller))

    if allowed is None or caller in allowed:
        # The version of this stage has no reference: who is let in is told so.
        assert reply.status_code == (422 if what is Ask.EXPLAIN else 200)
    elif caller in STRANGERS:
        assert (reply.status_code, reply.json()["code"]) == (401, "unauthenticated")
        assert reply.headers["www-authenticate"] == "Bearer"
    else:
        assert (reply.status_code, reply.json()["code"]) == (403, "forbidden")
    changed = what in (Ask.LOAD, Ask.UNLOAD) and reply.status_code == 200
    assert [actor for _, _, actor in repository.asked] == [f"a-{caller}"] * changed
    told = what in AFTERWARDS and reply.status_code == 200
    assert len(observer.sent) == told
    assert KEYS[AccessRole.ADMIN].id not in reply.text


@pytest.mark.parametrize("caller", CALLERS)
@pytest.mark.parametrize("name", METHODS)
def test_who_may_call_over_grpc(calls: Client, repository: Asked, name: str, caller: str) -> None:
    """The same table decides over gRPC."""
    repository.asked.clear()
    allowed = CALLS[name]
    authorization = shown(caller)
    metadata = () if authorization is None else (("authorization", authorization.decode()),)
    status, code = "OK", ""

    try:
        calls.call(name, SENT.get(name), metadata=metadata)
    except grpc.RpcError as raised:
        error: Any = raised
        status, code = error.code().name, trailing(error)["weir-error-code"]

    if allowed is None or caller in allowed:
        assert status == "OK"
    elif caller in STRANGERS:
        assert (status, code) == ("UNAUTHENTICATED", "unauthenticated")
    else:
        assert (status, code) == ("PERMISSION_DENIED", "forbidden")
    changed = name.startswith("RepositoryModel") and status == "OK"
    assert [actor for _, _, actor in repository.asked] == [f"a-{caller}"] * changed


def test_a_refused_request_never_reaches_the_model(http: httpx.Client, calls: Client) -> None:
    """Whether a model is there is told only to who may know."""
    told = []
    for model in (MODEL, "nobody"):
        reply = http.post(f"/v2/models/{model}/infer", content=GOOD)
        told.append((reply.status_code, reply.json()["error"]))
        error = calls.refused("ModelInfer", row(1, 2, 3, name=model))
        told.append((401, error.details()))

    assert len(set(told)) == 1


def test_a_body_is_not_read_for_a_stranger(http: httpx.Client) -> None:
    """What is wrong with a request is told only to who may send it."""
    reply = http.post(f"/v2/models/{MODEL}/infer", content=b"{")

    assert reply.status_code == 401


def test_a_key_that_asks_too_often(http: httpx.Client, calls: Client) -> None:
    """One rate for both protocols; the refusal says when to come back."""
    first = ask(http, Ask.INFER, bearer(SLOW))
    reply = ask(http, Ask.INFER, bearer(SLOW))
    error = calls.refused(
        "ModelInfer", row(1, 2, 3), metadata=(("authorization", bearer(SLOW).decode()),)
    )

    assert first.status_code == 200
    assert (reply.status_code, reply.json()["code"]) == (429, "over_quota")
    assert 1 <= int(reply.headers["retry-after"]) <= 50
    assert error.code() is grpc.StatusCode.RESOURCE_EXHAUSTED
    assert trailing(error)["weir-error-code"] == "over_quota"


def test_health_is_open_and_reflection_is_not_there(calls: Client) -> None:
    """Probes need no key; streams that never end are for those who are known."""
    check: Callable[..., Any] = calls.channel.unary_unary(
        "/grpc.health.v1.Health/Check",
        request_serializer=HealthCheckRequest.SerializeToString,
        response_deserializer=HealthCheckResponse.FromString,
    )
    reflect: Callable[..., Any] = calls.channel.stream_stream(
        "/grpc.reflection.v1alpha.ServerReflection/ServerReflectionInfo",
        request_serializer=ServerReflectionRequest.SerializeToString,
        response_deserializer=ServerReflectionResponse.FromString,
    )

    assert check(HealthCheckRequest(), timeout=30).status == HealthCheckResponse.SERVING
    with pytest.raises(grpc.RpcError) as caught:
        list(reflect(iter([ServerReflectionRequest(list_services="")]), timeout=30))
    error: Any = caught.value
    assert error.code() is grpc.StatusCode.UNIMPLEMENTED
