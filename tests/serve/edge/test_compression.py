"""Bodies and answers travel compressed, and never cost more than is allowed."""

from __future__ import annotations

import asyncio
import gzip
import threading
import tracemalloc
import zlib
from collections.abc import Callable, Iterator, MutableMapping
from typing import Any

import httpx
import orjson
import pytest

from configs.errors import BadInput, Overloaded, TooLarge, UnsupportedEncoding
from configs.settings import Limits
from monitors.telemetry import names
from registry.records import FULL
from serve.edge import infer
from serve.edge.bodies import Bodies
from serve.edge.caller import Caller
from serve.edge.compression import Inflater, accepted, deflate
from serve.protocol.paths import Ask
from tests.serve.edge.test_bodies import GOOD
from tests.serve.edge.test_http import INFER
from tests.serve.stage import Stage, stage
from tests.serve.versions import MODEL, table
from tests.serve.waiting import wait_until

CAP = 2**20
LEAST = 4096
MANY = 80_000
"""Rows whose answer is too large to be compressed on the loop."""
Code = Callable[[bytes], bytes]
SQUEEZE: dict[str, Code] = {"gzip": gzip.compress, "deflate": zlib.compress}
INFLATE: dict[str, Code] = {"gzip": gzip.decompress, "deflate": zlib.decompress}
both = pytest.mark.parametrize("encoding", SQUEEZE)


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stage]:
    """A gateway that compresses answers of 4 KiB or more and takes bodies of up to 1 MiB."""
    limits = Limits(drain_s=1.0, body_max_bytes=CAP, compress_min_bytes=LEAST)
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


@both
def test_a_compressed_body(http: httpx.Client, encoding: str) -> None:
    """It is read as what it was before, whatever the case of the encoding's name."""
    for name in (encoding, encoding.upper()):
        sent = SQUEEZE[encoding](GOOD)
        reply = http.post(INFER, content=sent, headers={"content-encoding": name})
        assert reply.json()["outputs"][0]["data"] == [7.0]


@both
def test_the_length_of_the_json_is_that_of_the_inflated_body(
    http: httpx.Client, encoding: str
) -> None:
    """Packed tensors may be compressed with their JSON."""
    tensor = {"name": "x", "datatype": "FP32", "shape": [1, 3]}
    head = orjson.dumps({"inputs": [{**tensor, "parameters": {"binary_data_size": 12}}]})
    sent = SQUEEZE[encoding](head + b"\x00\x00\x80\x3f" * 3)
    headers = {"content-encoding": encoding, "inference-header-content-length": str(len(head))}

    reply = http.post(INFER, content=sent, headers=headers)

    assert reply.json()["outputs"][0]["data"] == [4.0]


@both
def test_a_bomb(http: httpx.Client, encoding: str) -> None:
    """A body of some KiB that inflates to more than the cap is `413`."""
    sent = SQUEEZE[encoding](bytes(60 * CAP))
    assert len(sent) < 2**16

    reply = http.post(INFER, content=sent, headers={"content-encoding": encoding})

    assert reply.status_code == 413
    assert "inflates" in reply.json()["error"]
    assert http.post(INFER, content=GOOD).status_code == 200


@both
async def test_a_bomb_costs_no_more_than_the_cap(encoding: str) -> None:
    """Nothing is inflated beyond the cap, however the body comes in pieces."""
    sent = SQUEEZE[encoding](bytes(60 * CAP))
    for size in (len(sent), 1024):
        pieces = iter([sent[at : at + size] for at in range(0, len(sent), size)])

        async def receive(pieces: Iterator[bytes] = pieces) -> MutableMapping[str, Any]:
            return {"type": "http.request", "body": next(pieces), "more_body": True}

        tracemalloc.start()
        try:
            with pytest.raises(TooLarge):
                await Bodies(CAP, 2 * CAP).read(receive, None, encoding.encode())
            _, peak = tracemalloc.get_traced_memory()
        finally:
            tracemalloc.stop()
        assert peak < 5 * CAP


async def test_all_bodies_together_have_a_cap() -> None:
    """A body that finds no room among the others is refused, and makes room when it ends."""
    shared = Bodies(each_max=CAP, all_max=CAP + CAP // 2)
    waiting = asyncio.Event()

    async def slow() -> MutableMapping[str, Any]:
        await waiting.wait()
        return {"type": "http.request", "body": b"", "more_body": False}

    first = iter([bytes(CAP)])

    async def large() -> MutableMapping[str, Any]:
        part = next(first, None)
        if part is None:
            return await slow()
        return {"type": "http.request", "body": part, "more_body": True}

    async def other() -> MutableMapping[str, Any]:
        return {"type": "http.request", "body": bytes(CAP), "more_body": True}

    held = asyncio.ensure_future(shared.read(large, None, None))
    await asyncio.sleep(0)
    with pytest.raises(Overloaded):
        await shared.read(other, None, None)
    waiting.set()
    assert len(await held) == CAP
    first = iter([bytes(CAP)])
    assert len(await shared.read(large, None, None)) == CAP


@both
def test_the_cap_itself_inflates(encoding: str) -> None:
    """Exactly as much as is allowed is allowed, whole or byte by byte; one more is not."""
    whole = bytes(range(256)) * 8
    sent = SQUEEZE[encoding](whole)
    for size in (len(sent), 1):
        inflater = Inflater(encoding.encode(), len(whole))
        parts = [inflater.feed(sent[at : at + size]) for at in range(0, len(sent), size)]
        inflater.close()
        assert b"".join(parts) == whole
    with pytest.raises(TooLarge):
        Inflater(encoding.encode(), len(whole) - 1).feed(sent)


@both
@pytest.mark.parametrize(
    "spoil",
    [
        pytest.param(lambda sent: sent[:-1], id="cut-off"),
        pytest.param(lambda _: b"", id="empty"),
        pytest.param(lambda sent: sent + b"x", id="goes-on"),
        pytest.param(lambda sent: sent + sent, id="twice"),
        pytest.param(lambda sent: sent[:-1] + bytes([sent[-1] ^ 1]), id="wrong-sum"),
        pytest.param(lambda _: b"{}", id="not-compressed"),
        pytest.param(lambda _: b"\x78\xbb" + bytes(8), id="needs-a-dictionary"),
    ],
)
def test_bodies_that_are_not_what_they_say(
    http: httpx.Client, encoding: str, spoil: Callable[[bytes], bytes]
) -> None:
    """A compressed body must be exactly one, and whole."""
    sent = spoil(SQUEEZE[encoding](GOOD))

    reply = http.post(INFER, content=sent, headers={"content-encoding": encoding})

    assert (reply.status_code, reply.json()["code"]) == (400, "bad_input")


def test_what_comes_behind_the_end_in_another_piece() -> None:
    """The end is the end, also where the next piece begins."""
    inflater = Inflater(b"gzip", CAP)
    inflater.feed(gzip.compress(b"{}"))

    with pytest.raises(BadInput, match="goes on"):
        inflater.feed(b"x")


@pytest.mark.parametrize("encoding", [b"br", b"zstd", b"gzip, gzip", b"gzip,deflate", b""])
def test_other_encodings(encoding: bytes) -> None:
    """What is not understood is `415`, several at once too."""
    with pytest.raises(UnsupportedEncoding):
        Inflater(encoding, CAP)


@pytest.mark.parametrize(
    ("accepts", "wanted"),
    [
        (b"gzip", b"gzip"),
        (b"deflate", b"deflate"),
        (b"GZIP;q=0.5", b"gzip"),
        (b"br, deflate , gzip", b"gzip"),
        (b"gzip;q=0, deflate", b"deflate"),
        (b"gzip; q=0.000,deflate;q=0.001", b"deflate"),
        (b"gzip;\tq=0", None),
        (b"identity", None),
        (b"gzipped", None),
        (b"", None),
        (b"br;q=1.0", None),
        (b"gzip," * 60, None),
    ],
)
def test_what_a_client_accepts(accepts: bytes, wanted: bytes | None) -> None:
    """An encoding counts if it is named and not refused by a weight of 0."""
    assert accepted(accepts) == wanted


@both
def test_what_is_deflated_inflates(encoding: str) -> None:
    """Answers are what the encoding's name says."""
    assert INFLATE[encoding](deflate(GOOD, encoding.encode())) == GOOD


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


@pytest.mark.parametrize("value", [b"0", b"-1", b"nan", b"-inf", b"", b"x", b"5e-324", b"1 2"])
def test_times_that_are_none(value: bytes) -> None:
    """A time-out that cannot be kept is refused."""
    with pytest.raises(BadInput, match="Weir-Timeout-Ms"):
        Caller.of([(b"weir-timeout-ms", value)]).timeout_s()


@pytest.mark.parametrize(
    ("values", "wanted"),
    [
        ([b"1500"], 1.5),
        ([b"0.5"], 0.0005),
        ([b"inf"], float("inf")),
        ([b"1e308"], 1e305),
        ([b"100", b"50"], 0.05),
        ([b"50", b"100"], 0.05),
        ([], None),
    ],
)
def test_times_that_are_named(values: list[bytes], wanted: float | None) -> None:
    """Of several the shortest counts."""
    assert Caller.of([(b"weir-timeout-ms", value) for value in values]).timeout_s() == wanted
