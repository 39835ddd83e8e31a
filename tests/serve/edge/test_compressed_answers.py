"""Answers travel compressed if they are large and the client likes it."""

from __future__ import annotations

import gzip
import threading
from collections.abc import Iterator
from typing import Any

import httpx
import orjson
import pytest

from configs.settings import Limits
from monitors.telemetry import names
from registry.records import FULL
from serve.edge import infer
from serve.edge.compression import deflate
from serve.protocol.paths import Ask
from tests.serve.edge.test_bodies import GOOD
from tests.serve.edge.test_compression import INFLATE, both
from tests.serve.edge.test_http import INFER
from tests.serve.stage import Stage, stage
from tests.serve.versions import MODEL, table
from tests.serve.waiting import wait_until

LEAST = 4096
MANY = 80_000
"""Rows whose answer is too large to be compressed on the loop."""


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stage]:
    """A gateway that compresses answers of 4 KiB or more."""
    limits = Limits(drain_s=1.0, compress_min_bytes=LEAST)
    with stage(tmp_path_factory.mktemp("run"), limits) as opened:
        opened.start_host(1)
        opened.apply(table(1, {1: FULL}))
        yield opened


@pytest.fixture
def http(served: Stage) -> Iterator[httpx.Client]:
    """A client that says nothing of encodings by itself."""
    with httpx.Client(base_url=served.url, trust_env=False) as client:
        del client.headers["accept-encoding"]
        yield client


def rows(count: int, **more: Any) -> bytes:
    """A request of many rows."""
    tensor = {"name": "x", "datatype": "FP32", "shape": [count, 3], "data": [1.0] * (3 * count)}
    return orjson.dumps({"inputs": [tensor], **more})


def raw(http: httpx.Client, sent: bytes, path: str = INFER, **headers: str) -> tuple[Any, bytes]:
    """An answer and its body as it travelled."""
    with http.stream("POST" if sent else "GET", path, content=sent, headers=headers) as reply:
        return reply, b"".join(reply.iter_raw())


@both
@pytest.mark.parametrize("binary", [False, True])
def test_a_large_answer_is_compressed(http: httpx.Client, encoding: str, binary: bool) -> None:
    """Answers of the least size or more are, if the client accepts it; the JSON's length stays."""
    sent = rows(2000, parameters={"binary_data_output": binary})
    plain, whole = raw(http, sent)

    reply, body = raw(http, sent, **{"accept-encoding": encoding})

    assert "content-encoding" not in plain.headers
    assert len(whole) >= LEAST
    assert reply.headers["content-encoding"] == encoding
    assert int(reply.headers["content-length"]) == len(body) < len(whole)
    inflated = INFLATE[encoding](body)
    head = int(reply.headers["inference-header-content-length"]) if binary else None
    assert orjson.loads(inflated[:head])["outputs"][0]["shape"] == [2000, 1]
    assert (head is not None) == binary
    assert len(inflated) == len(whole)


@pytest.fixture
def deflating(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The threads in which answers were deflated."""
    threads: list[str] = []

    def noted(body: bytes, encoding: bytes) -> bytes:
        threads.append(threading.current_thread().name)
        return deflate(body, encoding)

    monkeypatch.setattr(infer, "deflate", noted)
    return threads


def test_a_very_large_answer_is_compressed_beside_the_loop(
    http: httpx.Client, deflating: list[str]
) -> None:
    """What takes long keeps nobody else waiting, and arrives whole."""
    for count in (2000, MANY):
        reply, body = raw(http, rows(count), **{"accept-encoding": "gzip"})
        told = orjson.loads(gzip.decompress(body))["outputs"][0]
        assert (reply.status_code, len(told["data"])) == (200, count)

    on_loop, beside = deflating
    assert on_loop != beside


@pytest.mark.parametrize("count", [2000, MANY], ids=["on-the-loop", "beside-it"])
def test_an_answer_that_cannot_be_compressed(
    http: httpx.Client, served: Stage, monkeypatch: pytest.MonkeyPatch, count: int
) -> None:
    """A failure to compress is an error for the client, is counted, and leaves nothing open."""

    def fails(body: bytes, encoding: bytes) -> bytes:
        raise MemoryError

    def failures() -> int:
        attributes = ("POST", Ask.INFER.value, "500", "internal")
        found = served.counts().histograms.get((names.REQUEST_DURATION.name, attributes))
        return sum(found.buckets) if found else 0

    before = failures()
    monkeypatch.setattr(infer, "deflate", fails)
    reply, body = raw(http, rows(count), **{"accept-encoding": "gzip"})

    assert (reply.status_code, orjson.loads(body)["code"]) == (500, "internal")
    assert "content-encoding" not in reply.headers
    wait_until(lambda: failures() == before + 1, "the failure to be counted")
    assert served.reception.open_requests == 0
    monkeypatch.undo()
    assert raw(http, rows(count), **{"accept-encoding": "gzip"})[0].status_code == 200


def test_an_answer_is_compressed_from_the_least_size_on(http: httpx.Client) -> None:
    """One byte decides: what is smaller goes as it is."""

    def answer(name: str) -> tuple[Any, bytes]:
        return raw(http, rows(1, id=name), **{"accept-encoding": "gzip"})

    _, body = answer("")
    room = LEAST - len(body)
    below, _ = answer("n" * (room - 1))
    at, _ = answer("n" * room)

    assert ("content-encoding" in below.headers, "content-encoding" in at.headers) == (False, True)


def test_errors_and_metadata_are_never_compressed(tmp_path_factory: pytest.TempPathFactory) -> None:
    """Only answers of models are worth it, even where every size is large enough."""
    limits = Limits(drain_s=1.0, compress_min_bytes=0)
    with stage(tmp_path_factory.mktemp("run"), limits) as opened:
        opened.start_host(1)
        opened.apply(table(1, {1: FULL}))
        with httpx.Client(base_url=opened.url, trust_env=False) as client:
            wishes = {"accept-encoding": "gzip"}
            good, _ = raw(client, GOOD, **wishes)
            bad, _ = raw(client, b"{}", **wishes)
            told = [
                raw(client, b"", path, **wishes)[0]
                for path in ("/openapi.json", "/v2", f"/v2/models/{MODEL}", "/nothing")
            ]

    assert good.headers["content-encoding"] == "gzip"
    assert all("content-encoding" not in reply.headers for reply in (bad, *told))
