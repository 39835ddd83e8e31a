"""Whatever is wrong with what comes in: one sentence, the right status, and the gateway lives."""

from __future__ import annotations

import http.client
import json
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from configs.errors import Refused
from serve.control.client import ControlClient
from tests.gateway.asking import REGRESSION, answer_of, ask, infer_path, register, tensor
from tests.gateway.running import Running, weir
from tests.registry import models

pytestmark = pytest.mark.gateway
MODEL = "strict"
GOOD = tensor([[1, 2, 3]])
BODIES = {
    "malformed JSON": (b'{"inputs": [', 400, "not JSON"),
    "an empty body": (b"", 400, "not JSON"),
    "a list": (b"[]", 400, "JSON object"),
    "no inputs": (b"{}", 400, "inputs"),
    "a wrong name": ({**GOOD, "name": "y"}, 400, "no input 'y'"),
    "a wrong shape": ({**GOOD, "shape": [1, 4]}, 400, "shape"),
    "too few values": ({**GOOD, "data": [1, 2]}, 400, "values"),
    "a negative shape": ({**GOOD, "shape": [-1, 3]}, 400, "shape"),
    "a wrong datatype": ({**GOOD, "datatype": "INT64"}, 400, "datatype"),
    "text for numbers": ({**GOOD, "data": ["1", "2", "3"]}, 400, "numbers"),
    "a missing value": ({**GOOD, "data": [1, None, 3]}, 400, "missing"),
    "NaN": (json.dumps({"inputs": [{**GOOD, "data": [1, float("nan"), 3]}]}).encode(), 400, "JSON"),
    "infinity": ({**GOOD, "data": [1, 1e300, 3]}, 400, "fit"),
    "deep nesting": (b"[" * 100_000, 400, "not JSON"),
}


@pytest.fixture(scope="module", autouse=True)
def _served(control: ControlClient) -> None:
    register(control, MODEL, models.regressor(bias=1.0))
    control.set_route(MODEL, {1: 100})


@pytest.fixture(autouse=True)
def _still_answers(gateway: Running, _served: None) -> Iterator[None]:
    """After every test, the same processes still answer a good request."""
    before = gateway.pids("gateway") | gateway.pids("control") | gateway.pids("version", MODEL)
    yield
    assert answer_of(ask(gateway, MODEL, [[1, 2, 3]])) == [7.0]
    after = gateway.pids("gateway") | gateway.pids("control") | gateway.pids("version", MODEL)
    assert after == before


@pytest.mark.parametrize("name", BODIES)
def test_a_wrong_request_is_told_what_is_wrong(gateway: Running, name: str) -> None:
    """Each fault has its status and a sentence that names it."""
    content, status, words = BODIES[name]
    body = content if isinstance(content, bytes) else json.dumps({"inputs": [content]}).encode()
    answer = httpx.post(gateway.http + infer_path(MODEL), content=body, trust_env=False)
    assert answer.status_code == status
    assert list(answer.json()) == ["error", "code", "request_id"]
    assert words in answer.json()["error"]


@pytest.mark.parametrize(
    ("path", "status"),
    [
        (infer_path("nobody"), 404),
        (infer_path(MODEL, 7), 404),
        (f"/v2/models/{MODEL}/versions/latest/infer", 404),
        ("/v2/models", 405),
        (f"/v2/models/{MODEL}", 405),
    ],
)
def test_what_does_not_exist_is_said_so(gateway: Running, path: str, status: int) -> None:
    """An unknown model, version, path or method has its status and a sentence."""
    answer = httpx.post(gateway.http + path, json={"inputs": [GOOD]}, trust_env=False)
    assert answer.status_code == status
    assert list(answer.json()) == ["error", "code", "request_id"]


@pytest.mark.parametrize("announced", [True, False])
def test_a_body_of_100_mb_is_refused(gateway: Running, announced: bool) -> None:
    """A body beyond the limit is answered with 413, whether or not its length was announced."""
    connection = http.client.HTTPConnection("127.0.0.1", gateway.http_port, timeout=30)
    size = 100 * 10**6
    connection.putrequest("POST", infer_path(MODEL))
    if announced:
        connection.putheader("Content-Length", str(size))
        connection.endheaders()
    else:
        connection.putheader("Transfer-Encoding", "chunked")
        connection.endheaders()
        _send_until_told(connection, size)
    answer = connection.getresponse()
    assert answer.status == 413
    assert "allowed" in json.loads(answer.read())["error"]
    connection.close()


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (models.regressor().SerializeToString()[:-40], "truncated|not an ONNX|load"),
        (models.with_external_data().SerializeToString(), "external data"),
        (models.huge().SerializeToString(), "needs more than 4 GiB"),
        (models.custom_operator().SerializeToString(), "custom domain"),
        (b"\x80\x04\x95", "pickle"),
    ],
    ids=["truncated", "external data", "10 GB", "custom operator", "pickle"],
)
def test_a_model_that_cannot_be_served_is_refused(
    control: ControlClient, content: bytes, words: str
) -> None:
    """A file that must not be served gets no number, and a sentence that says why."""
    artifact = control.upload(content)
    with pytest.raises(Refused, match=words):
        control.register("refused", artifact, REGRESSION)
    assert "refused" not in {model.model for model in control.models()}


def test_the_command_refuses_in_one_line(gateway: Running, tmp_path: Path) -> None:
    """`weir register` says in one line what is wrong with a file, and fails."""
    path = tmp_path / "model.onnx"
    path.write_bytes(models.with_external_data().SerializeToString())
    done = weir("register", "refused", str(path), "--url", gateway.control)
    assert done.returncode == 1
    (line,) = done.stderr.splitlines()
    assert line.startswith("weir: ")
    assert "external data" in line


def _send_until_told(connection: http.client.HTTPConnection, size: int) -> None:
    """Send chunks of 1 MB until all has gone or the other side has heard enough."""
    chunk = b"100000\r\n" + b" " * 2**20 + b"\r\n"
    try:
        for _ in range(size // 2**20 + 1):
            connection.send(chunk)
        connection.send(b"0\r\n\r\n")
    except (BrokenPipeError, ConnectionResetError):
        return
