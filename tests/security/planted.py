"""A gateway that other machines could reach, and everything that is asked of it, with canaries."""

from __future__ import annotations

import json
import secrets
import ssl
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

import grpc
import httpx
import numpy as np
import pytest
from google.protobuf.message import Message
from onnx import ModelProto, TensorProto, helper, numpy_helper

from registry.card import Card, Task
from registry.keys import AccessRole
from serve.control.client import ControlClient
from serve.edge.grpc_calls import METHODS, SERVICE
from tests.gateway.asking import register
from tests.gateway.running import Running, running_gateway, weir
from tests.registry import models
from tests.security.canaries import Canaries
from tests.security.certificates import certified
from tests.tools.otlp_receiver import OtlpReceiver, receiving

ELSEWHERE = "127.0.0.2"
"""An address of this machine at which nothing answers that listens on 127.0.0.1 only."""
BODY_MAX_BYTES = 65536
_PORTS = {"http_port": 0, "grpc_port": 0, "control_port": 0}
_PATIENCE_S = 30.0


class Told(NamedTuple):
    """An answer, with all that was sent for it; gRPC has names where HTTP has numbers."""

    sent: bytes
    status: int | str
    error: str
    code: str
    request_id: str
    raw: bytes
    prediction_id: str = ""

    @property
    def failed(self) -> bool:
        """Whether it is an error."""
        return self.status != "OK" if isinstance(self.status, str) else self.status >= 400


@dataclass(frozen=True, slots=True)
class Planted:
    """A gateway, its canaries, and what it has told so far."""

    gateway: Running
    receiver: OtlpReceiver
    canaries: Canaries
    ca: Path
    http: httpx.Client
    channel: grpc.Channel
    admin: str
    client: str
    told: list[Told] = field(default_factory=list)

    def url(self, port: int) -> str:
        """A port of the gateway as another machine names it."""
        return f"https://{ELSEWHERE}:{port}"

    def headers(self, key: str | None = None) -> dict[str, str]:
        """What every request carries: the key that is given, and canaries."""
        word = self.canaries.word
        return {
            "Authorization": f"Bearer {key or self.client}",
            "Content-Type": "application/json",
            "Cookie": f"session={word('a cookie')}",
            "X-Forwarded-For": word("a header of proxies"),
            "X-Weir-Secret": word("a header of the caller's own"),
            "User-Agent": word("the user agent"),
            "Weir-Key": word("the unit"),
            "traceparent": f"00-{secrets.token_hex(16)}-{secrets.token_hex(8)}-01",
            "tracestate": f"vendor={word('the state of the trace')}",
        }

    def ask(
        self,
        path: str,
        content: bytes | object = b"",
        *,
        method: str = "POST",
        key: str | None = None,
        port: int = 0,
        **headers: str,
    ) -> Told:
        """Ask over HTTP, of the inference port unless another is given; keeps what is told."""
        body = content if isinstance(content, bytes) else json.dumps(content).encode()
        more = {name.replace("_", "-"): value for name, value in headers.items()}
        answer = self.http.request(
            method,
            self.url(port or self.gateway.http_port) + path,
            params={"q": self.canaries.word("the query")},
            content=body,
            headers={**self.headers(key), **more},
        )
        self.told.append(_over_http(answer, body))
        return self.told[-1]

    def call(self, name: str, sent: Message, key: str | None = None, **metadata: str) -> Told:
        """Call a method over gRPC; keeps what is told."""
        takes = METHODS[name]
        method = self.channel.unary_unary(
            f"/{SERVICE}/{name}",
            request_serializer=takes.takes.SerializeToString,
            response_deserializer=takes.gives.FromString,
        )
        pairs = {**self.headers(key), **metadata}
        for header in ("User-Agent", "Content-Type"):
            pairs.pop(header)
        lower = [(each.lower().replace("_", "-"), value) for each, value in pairs.items()]
        secret = self.canaries.word("binary metadata").encode()
        try:
            _, done = method.with_call(
                sent, metadata=[*lower, ("x-secret-bin", secret)], timeout=_PATIENCE_S
            )
        except grpc.RpcError as raised:
            done = raised
        self.told.append(_over_grpc(done, sent))
        return self.told[-1]


@contextmanager
def planted(folder: Path) -> Iterator[Planted]:
    """A gateway that serves four models to whoever has a key, over TLS, on every address."""
    canaries = Canaries()
    files = certified(folder / canaries.word("the path of the TLS key"), ELSEWHERE)
    canaries.know("the TLS key", files.key.read_text().splitlines()[2])
    made = weir("keys", "create", "ada", "--role", "admin", "--data", str(folder / "data"))
    admin = made.stdout.strip()
    canaries.know("an administrator's secret", admin.rpartition("_")[2])
    with ExitStack() as stack:
        receiver = stack.enter_context(receiving())
        patch = stack.enter_context(pytest.MonkeyPatch.context())
        patch.setenv("DATABASE_PASSWORD", canaries.word("the environment"))
        trust = ssl.create_default_context(cafile=files.ca)
        settings = {
            "listen": {
                "host": "0.0.0.0",  # noqa: S104 - this is what is tried
                "tls_certificate": str(files.certificate),
                "tls_key": str(files.key),
                **_PORTS,
            },
            "access": {"required": True},
            "limits": {"body_max_bytes": BODY_MAX_BYTES},
            "telemetry": {
                "otlp_endpoint": receiver.http_endpoint,
                "otlp_protocol": "http",
                "export_s": 0.3,
                "trace_share": 1.0,
            },
        }
        gateway = stack.enter_context(running_gateway(folder, settings))
        url = f"https://{ELSEWHERE}:{gateway.control_port}"
        control = stack.enter_context(ControlClient(url, "nobody", admin, files.ca))
        client = control.create_key("eve", AccessRole.CLIENT).token
        canaries.know("a client's secret", client.rpartition("_")[2])
        _serve(control, canaries)
        http = stack.enter_context(httpx.Client(verify=trust, trust_env=False, timeout=_PATIENCE_S))
        grpc_port = gateway.grpc.rpartition(":")[2]
        credentials = grpc.ssl_channel_credentials(files.ca.read_bytes())
        channel = stack.enter_context(grpc.secure_channel(f"{ELSEWHERE}:{grpc_port}", credentials))
        yield Planted(gateway, receiver, canaries, files.ca, http, channel, admin, client)


def _serve(control: ControlClient, canaries: Canaries) -> None:
    """Serve a model of numbers, one of strings, one that fails on some, and a slow one."""
    register(control, "numbers", models.regressor())
    register(control, "words", _echo(), card=Card(task=Task.OTHER))
    register(control, "fragile", _picky(canaries.word("a model's own words")))
    register(control, "patient", _patient())
    for model in ("numbers", "words", "fragile", "patient"):
        control.set_route(model, {1: 100})


def _echo() -> ModelProto:
    """One string in, the same string out."""
    return models.model(
        [helper.make_node("Identity", ["x"], ["y"])],
        [models.tensor("x", ["N", 1], models.STRING)],
        [models.tensor("y", ["N", 1], models.STRING)],
    )


def _picky(node: str) -> ModelProto:
    """A model of the regressor's signature that fails, in the name of a node, on any 7."""
    return models.model(
        [
            helper.make_node("Cast", ["x"], ["places"], to=models.INT64),
            helper.make_node("Gather", ["table", "places"], ["found"], name=node),
            helper.make_node("ReduceSum", ["found", "axes"], ["y"]),
        ],
        [models.tensor("x", ["N", 3])],
        [models.tensor("y", ["N", 1])],
        [
            numpy_helper.from_array(np.ones(4, np.float32), "table"),
            numpy_helper.from_array(np.array([1], np.int64), "axes"),
        ],
    )


def _patient() -> ModelProto:
    """A model of the regressor's signature that counts to the largest value before it answers."""
    body = helper.make_graph(
        [
            helper.make_node("Identity", ["go"], ["go_on"]),
            helper.make_node("Sin", ["sum_before"], ["sum_after"]),
        ],
        "body",
        [
            models.tensor("turn", [], models.INT64),
            models.tensor("go", [], TensorProto.BOOL),
            models.tensor("sum_before", ["N", 1]),
        ],
        [models.tensor("go_on", [], TensorProto.BOOL), models.tensor("sum_after", ["N", 1])],
    )
    return models.model(
        [
            helper.make_node("ReduceSum", ["x", "axes"], ["sum"]),
            helper.make_node("ReduceMax", ["x"], ["largest"], keepdims=0),
            helper.make_node("Cast", ["largest"], ["turns"], to=models.INT64),
            helper.make_node("Loop", ["turns", "", "sum"], ["y"], body=body),
        ],
        [models.tensor("x", ["N", 3])],
        [models.tensor("y", ["N", 1])],
        [numpy_helper.from_array(np.array([1], np.int64), "axes")],
    )


def _over_http(answer: httpx.Response, body: bytes) -> Told:
    sent = [str(answer.request.url).encode(), body]
    sent += [name + b": " + value for name, value in answer.request.headers.raw]
    said: Mapping[str, Any] = answer.json() if answer.is_error else {}
    raw = [name + b": " + value for name, value in answer.headers.raw]
    return Told(
        b"\n".join(sent),
        answer.status_code,
        said.get("error", ""),
        said.get("code", ""),
        said.get("request_id", ""),
        b"\n".join([*raw, answer.content]),
        answer.headers.get("weir-prediction-id", ""),
    )


def _over_grpc(done: Any, sent: Message) -> Told:
    trailing = {each.key: each.value for each in done.trailing_metadata() or ()}
    details = done.details() or ""
    return Told(
        sent.SerializeToString(),
        done.code().name,
        details,
        trailing.get("weir-error-code", ""),
        trailing.get("weir-request-id", ""),
        f"{details} {trailing}".encode(),
        trailing.get("weir-prediction-id", ""),
    )
