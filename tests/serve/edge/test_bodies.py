"""Bodies that are large, slow, cut off or unannounced cost their sender and nobody else."""

from __future__ import annotations

import socket
from collections.abc import Iterator

import httpx
import orjson
import pytest

from configs.settings import Limits
from registry.records import FULL
from tests.serve.edge.listening import answer
from tests.serve.edge.test_http import INFER, row
from tests.serve.stage import Stage, stage
from tests.serve.versions import table
from tests.serve.waiting import wait_until

GOOD = orjson.dumps(row(1, 2, 3))
CAP = 2**20


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stage]:
    """A gateway that takes bodies of up to 1 MiB."""
    with stage(tmp_path_factory.mktemp("run"), Limits(body_max_bytes=CAP)) as opened:
        opened.start_host(1)
        opened.start_host(2)
        opened.apply(table(opened.next_generation(), {1: FULL}))
        yield opened


@pytest.fixture
def http(served: Stage) -> Iterator[httpx.Client]:
    """A client that can tell whether the gateway is still well."""
    with httpx.Client(base_url=served.url, trust_env=False) as client:
        yield client
        assert client.post(INFER, content=GOOD).status_code == 200


@pytest.fixture
def wire(served: Stage) -> Iterator[socket.socket]:
    """A bare connection to the gateway."""
    with socket.create_connection(("127.0.0.1", served.port), timeout=10) as connection:
        yield connection


def head(*headers: str) -> bytes:
    """The head of an inference request."""
    return "\r\n".join((f"POST {INFER} HTTP/1.1", "Host: weir", *headers, "", "")).encode()


def status(connection: socket.socket) -> int:
    """The status of the answer that comes."""
    received = b""
    while b"\r\n" not in received:
        piece = connection.recv(4096)
        assert piece, "the connection was closed without an answer"
        received += piece
    return int(received.split(b" ", 2)[1])


def pieces(total: int, size: int = 2**16) -> Iterator[bytes]:
    """White space in pieces, which goes out without a length."""
    for _ in range(total // size):
        yield b" " * size


def test_a_body_of_exactly_the_cap_is_read(http: httpx.Client) -> None:
    """The cap itself is allowed, announced or not."""
    sent = GOOD + b" " * (CAP - len(GOOD))

    assert http.post(INFER, content=sent).status_code == 200
    assert http.post(INFER, content=iter([sent])).status_code == 200


def test_an_announced_body_above_the_cap(http: httpx.Client) -> None:
    """One byte more than the cap is `413`, with both sizes."""
    reply = http.post(INFER, content=b" " * (CAP + 1))

    assert reply.status_code == 413
    assert reply.json()["error"] == f"the body has {CAP + 1} bytes, {CAP} are allowed"


def test_an_announced_body_above_the_cap_behind_another_request(wire: socket.socket) -> None:
    """No memory is asked for before somebody has looked at the length."""
    get = b"GET /v2/health/live HTTP/1.1\r\nHost: weir\r\n\r\n"
    wire.sendall(get + head(f"Content-Length: {2**63 - 1}") + bytes(2**20))
    assert [answer(wire)[0], answer(wire)[0]] == [200, 413]


def test_an_unannounced_body_above_the_cap(http: httpx.Client) -> None:
    """A chunked body is refused as soon as it is too large, and never kept whole."""
    reply = http.post(INFER, content=pieces(4 * CAP))

    assert reply.status_code == 413
    assert f"{CAP} bytes" in reply.json()["error"]


def test_a_hundred_megabytes(http: httpx.Client, wire: socket.socket) -> None:
    """`413` comes before the body does; who sends it all the same harms nobody."""
    wire.sendall(head(f"Content-Length: {100 * 2**20}"))
    assert status(wire) == 413

    reply = http.post(INFER, content=b" " * (100 * 2**20))
    assert reply.status_code == 413


def test_the_cap_holds_for_the_first_piece(tmp_path_factory: pytest.TempPathFactory) -> None:
    """A chunked body that arrives in one piece is measured like any other."""
    with stage(tmp_path_factory.mktemp("run"), Limits(body_max_bytes=1024)) as small:
        small.start_host(1)
        small.apply(table(1, {1: FULL}))
        sent = GOOD + b" " * 2048

        reply = httpx.post(small.url + INFER, content=iter([sent]), trust_env=False)

    assert reply.status_code == 413


def test_a_body_in_small_pieces_is_put_together(wire: socket.socket) -> None:
    """A slow client is answered when it is done."""
    wire.sendall(head(f"Content-Length: {len(GOOD)}"))
    for byte in GOOD:
        wire.sendall(bytes([byte]))

    assert status(wire) == 200


def test_a_client_that_leaves_early(http: httpx.Client, served: Stage, wire: socket.socket) -> None:
    """Half a request, cut off, leaves nothing open behind it."""
    wire.sendall(head("Transfer-Encoding: chunked") + b"5\r\n{    \r\n")
    wait_until(lambda: served.reception.open_requests == 1, "the request has begun")
    wire.close()

    wait_until(lambda: served.reception.open_requests == 0, "the request has ended")


def test_what_is_not_http(http: httpx.Client, wire: socket.socket) -> None:
    """Garbage is answered with `400` by the listener itself."""
    wire.sendall(b"\x16\x03\x01 this is not HTTP\r\n\r\n")

    assert status(wire) == 400


def test_requests_in_a_row_on_one_connection(wire: socket.socket) -> None:
    """Pipelined requests are answered in order."""
    request = head(f"Content-Length: {len(GOOD)}") + GOOD
    wire.sendall(request * 20)
    received = b""
    while received.count(b"HTTP/1.1 200") < 20:
        piece = wire.recv(65536)
        assert piece
        received += piece


def test_a_slow_request_whose_version_leaves(http: httpx.Client, served: Stage) -> None:
    """A body that is still on its way when its version leaves the table gets an answer."""
    with socket.create_connection(("127.0.0.1", served.port), timeout=5) as slow:
        slow.sendall(head(f"Content-Length: {len(GOOD)}") + GOOD[:10])
        wait_until(lambda: served.reception.open_requests == 1, "the request has begun")
        leaving = served.gateway.model_version("credit", 1)
        served.apply(table(served.next_generation(), {2: FULL}))
        wait_until(leaving.links._task.done, "version 1 has left")

        slow.sendall(GOOD[10:])

        assert status(slow) == 200


def test_answers_come_while_another_body_is_slow(http: httpx.Client, wire: socket.socket) -> None:
    """A client that sends nothing holds up nobody."""
    wire.sendall(head(f"Content-Length: {len(GOOD)}"))

    assert http.post(INFER, content=GOOD).status_code == 200
