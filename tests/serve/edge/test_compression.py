"""Bodies travel compressed, and never cost more than is allowed."""

from __future__ import annotations

import asyncio
import gzip
import tracemalloc
import zlib
from collections.abc import Callable, Iterator, MutableMapping
from typing import Any

import httpx
import orjson
import pytest

from configs.errors import BadInput, Overloaded, TooLarge, UnsupportedEncoding
from configs.settings import Limits
from registry.records import FULL
from serve.edge.bodies import Bodies
from serve.edge.compression import Inflater, accepted, deflate
from tests.serve.edge.test_bodies import GOOD
from tests.serve.edge.test_http import INFER
from tests.serve.stage import Stage, stage
from tests.serve.versions import table

CAP = 2**20
Code = Callable[[bytes], bytes]
SQUEEZE: dict[str, Code] = {"gzip": gzip.compress, "deflate": zlib.compress}
INFLATE: dict[str, Code] = {"gzip": gzip.decompress, "deflate": zlib.decompress}
both = pytest.mark.parametrize("encoding", SQUEEZE)


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stage]:
    """A gateway that takes bodies of up to 1 MiB."""
    limits = Limits(drain_s=1.0, body_max_bytes=CAP)
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
