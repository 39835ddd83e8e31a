"""A client that misses nothing: keep-alive connections that count every failure and every wait.

wrk says how many requests failed, but not how long the longest waited, nor whether a connection
was closed with notice. This client is slower, and tells both.
"""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from dataclasses import dataclass, field

from benchmarks.answers import TOLERANCE, score
from benchmarks.model import Workload

TIMEOUT_S = 30.0
PAUSE_S = 0.01


@dataclass(slots=True)
class Tally:
    """What a load has met: failures by kind, and the longest wait for an answer in seconds.

    A connection closed between requests is opened again and is no failure; `announced` counts
    those that the answer before had announced with `Connection: close`, `silent` the others.
    """

    requests: int = 0
    failures: Counter[str] = field(default_factory=Counter)
    longest_s: float = 0.0
    announced: int = 0
    silent: int = 0


class Connection:
    """One keep-alive connection to a loopback port."""

    def __init__(self, port: int, tally: Tally) -> None:
        self._port = port
        self._tally = tally
        self._streams: tuple[asyncio.StreamReader, asyncio.StreamWriter] | None = None

    async def ask(self, request: bytes) -> tuple[int, bytes]:
        """Send one request; gives status and body. `OSError` or `EOFError` if it gets no answer."""
        reader, writer = await self._open()
        writer.write(request)
        head = await reader.readuntil(b"\r\n\r\n")
        status, length, last = read_head(head)
        body = await reader.readexactly(length)
        if last:
            self._tally.announced += 1
            self.close()
        return status, body

    def close(self) -> None:
        """Let the connection go; the next request opens another."""
        if self._streams is not None:
            self._streams[1].close()
            self._streams = None

    async def _open(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        if self._streams is not None and self._streams[0].at_eof():
            self._tally.silent += 1
            self.close()
        if self._streams is None:
            self._streams = await asyncio.open_connection("127.0.0.1", self._port)
        return self._streams


def read_head(head: bytes) -> tuple[int, int, bool]:
    """Status, length of the body, and whether the server closes after it (RFC 9112)."""
    first, *lines = head.decode("latin-1").rstrip("\r\n").split("\r\n")
    fields = {}
    for line in lines:
        name, _, value = line.partition(":")
        fields[name.strip().lower()] = value.strip()
    closes = fields.get("connection", "").lower() == "close"
    return int(first.split(" ", 2)[1]), int(fields.get("content-length", "0")), closes


async def drive(
    port: int, path: str, workload: Workload, connections: int, stop: asyncio.Event
) -> Tally:
    """Ask in a closed loop on so many connections until told to stop."""
    tally = Tally()
    asked = questions(path, port, workload)
    await asyncio.gather(
        *(
            _loop(Connection(port, tally), asked[start:] + asked[:start], stop, tally)
            for start in range(connections)
        )
    )
    return tally


def questions(path: str, port: int, workload: Workload) -> list[tuple[bytes, float]]:
    """The requests of a workload, each with its right score."""
    requests = [_request(path, port, body) for body in workload.lines]
    return list(zip(requests, workload.scores.tolist(), strict=True))


async def ask(connection: Connection, question: tuple[bytes, float], tally: Tally) -> None:
    """Ask once; a failure is counted, and the next question comes on a new connection."""
    begin = time.perf_counter()
    failure = await _failure(connection, *question)
    tally.longest_s = max(tally.longest_s, time.perf_counter() - begin)
    tally.requests += 1
    if failure is not None:
        tally.failures[failure] += 1
        connection.close()
        await asyncio.sleep(PAUSE_S)


async def _loop(
    connection: Connection, asked: list[tuple[bytes, float]], stop: asyncio.Event, tally: Tally
) -> None:
    turn = 0
    try:
        while not stop.is_set():
            await ask(connection, asked[turn % len(asked)], tally)
            turn += 1
    finally:
        connection.close()


async def _failure(connection: Connection, request: bytes, right: float) -> str | None:
    """Ask once; gives None for the right answer, else what went wrong."""
    try:
        async with asyncio.timeout(TIMEOUT_S):
            status, body = await connection.ask(request)
        if status != 200:
            return f"status {status}"
        given = score(body)
    except (OSError, EOFError) as error:  # a time-out is an OSError
        return type(error).__name__
    except (KeyError, IndexError, ValueError):
        return "unreadable answer"
    return None if abs(given - right) <= TOLERANCE else "wrong score"


def _request(path: str, port: int, body: bytes) -> bytes:
    head = (
        f"POST {path} HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\n"
        f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n"
    )
    return head.encode() + body
