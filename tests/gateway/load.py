"""Clients that never stop asking, and know every answer beforehand."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator
from contextlib import contextmanager

import orjson

from benchmarks.client import Connection, Tally
from tests.gateway.asking import infer_path, tensor, wait_for
from tests.gateway.running import Running

CONNECTIONS = 8
TIMEOUT_S = 40.0
_PAUSE_S = 0.002
_WARM = 200


@contextmanager
def load(gateway: Running, model: str, bias: float) -> Iterator[Tally]:
    """Ask a `regressor(bias)` on keep-alive connections, one request after another on each.

    The block begins when answers come, and the tally is complete when it has ended.
    """
    tally = Tally()
    stop = threading.Event()
    driving = _drive(gateway.http_port, model, bias, tally, stop)
    thread = threading.Thread(target=lambda: asyncio.run(driving))
    thread.start()
    try:
        wait_for(lambda: tally.requests > _WARM, "a load that runs", 60.0)
        yield tally
    finally:
        stop.set()
        thread.join()


def keeps_up(tally: Tally, more: int = 500) -> None:
    """Wait until so many more requests have been answered."""
    goal = tally.requests + more
    wait_for(lambda: tally.requests > goal, f"{more} more requests", 120.0)


async def _drive(port: int, model: str, bias: float, tally: Tally, stop: threading.Event) -> None:
    await asyncio.gather(
        *(
            _loop(Connection(port, tally), (infer_path(model), place, bias), tally, stop)
            for place in range(CONNECTIONS)
        )
    )


async def _loop(
    connection: Connection, what: tuple[str, int, float], tally: Tally, stop: threading.Event
) -> None:
    path, place, bias = what
    turn = 0
    while not stop.is_set():
        turn = (turn + 1) % 1000
        request = _request(path, [turn, place, 0.5])
        failure = await _failure(connection, request, turn + place + 0.5 + bias)
        tally.requests += 1
        if failure is not None:
            tally.failures[failure] += 1
            connection.close()
        await asyncio.sleep(_PAUSE_S)
    connection.close()


async def _failure(connection: Connection, request: bytes, right: float) -> str | None:
    """Ask once; gives None for the right answer, else what went wrong."""
    try:
        async with asyncio.timeout(TIMEOUT_S):
            status, body = await connection.ask(request)
    except (OSError, EOFError) as error:  # a time-out is an OSError
        return type(error).__name__
    if status != 200:
        return f"{status} {body.decode()}"
    (given,) = orjson.loads(body)["outputs"][0]["data"]
    return None if given == right else "the answer to another question"


def _request(path: str, row: list[float]) -> bytes:
    body = orjson.dumps({"inputs": [tensor([row])]})
    head = f"POST {path} HTTP/1.1\r\nHost: weir\r\nContent-Length: {len(body)}\r\n\r\n"
    return head.encode() + body
