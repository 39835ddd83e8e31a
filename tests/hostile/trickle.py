"""Clients that are slow on purpose, in a process of their own.

`python -m tests.hostile.trickle PORT KIND COUNT PATH ROWS` opens COUNT connections within a few
seconds. Each moves a byte a second: of a `head`, of a `body`, or, as a `reader`, of its answer.
Prints one line of JSON: how many were closed by the other side, and after how many seconds.
"""

from __future__ import annotations

import asyncio
import json
import os
import socket
import sys
from dataclasses import dataclass

RAMP_S = 4.0
PATIENCE_S = 15.0
_PAUSE_S = 1.0
_BUFFER_BYTES = 2048


@dataclass(frozen=True, slots=True)
class Slow:
    """Which clients there are, and what they ask for."""

    port: int
    kind: str
    count: int
    path: str
    rows: int

    def request(self) -> bytes:
        """An inference request of some rows of three features."""
        data = ",".join(["1"] * 3 * self.rows)
        shape = f"[{self.rows},3]"
        body = f'{{"inputs":[{{"name":"x","datatype":"FP32","shape":{shape},"data":[{data}]}}]}}'
        return (
            f"POST {self.path} HTTP/1.1\r\nHost: weir\r\nContent-Length: {len(body)}\r\n\r\n{body}"
        ).encode()


class _Busy(Exception):
    """The gateway is too busy to give an answer that could be taken slowly."""


async def _client(slow: Slow, delay_s: float) -> float | None:
    """Be one slow client; gives after how many seconds it was cut off, if it was."""
    await asyncio.sleep(delay_s)
    while True:
        try:
            return await _connection(slow)
        except _Busy:
            await asyncio.sleep(_PAUSE_S)


async def _connection(slow: Slow) -> float | None:
    loop = asyncio.get_running_loop()
    with socket.socket() as sock:
        sock.setblocking(False)
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, _BUFFER_BYTES)
        await loop.sock_connect(sock, ("127.0.0.1", slow.port))
        began = loop.time()
        try:
            async with asyncio.timeout(PATIENCE_S):
                await (_read if slow.kind == "reader" else _write)(sock, slow)
        except TimeoutError:
            return None
        except ConnectionError:
            pass
        return loop.time() - began


async def _write(sock: socket.socket, slow: Slow) -> None:
    """Send a byte a second until something comes."""
    loop = asyncio.get_running_loop()
    request = slow.request()
    sent = request.index(b"\r\n\r\n") + 4 if slow.kind == "body" else 0
    await loop.sock_sendall(sock, request[:sent])
    answer = asyncio.ensure_future(loop.sock_recv(sock, 4096))
    try:
        while not answer.done():
            await loop.sock_sendall(sock, request[sent : sent + 1])
            sent += 1
            await asyncio.wait([answer], timeout=_PAUSE_S)
    finally:
        answer.cancel()


async def _read(sock: socket.socket, slow: Slow) -> None:
    """Take a byte a second until there is no more, or the other side has reset the connection."""
    loop = asyncio.get_running_loop()
    await loop.sock_sendall(sock, slow.request())
    if b" 200 " not in await loop.sock_recv(sock, 13):
        raise _Busy
    while await loop.sock_recv(sock, 1):
        await asyncio.sleep(_PAUSE_S)
        if sock.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR):
            return  # Reset, though what came before could still be read.


async def _all(slow: Slow) -> None:
    delays = [RAMP_S * place / slow.count for place in range(slow.count)]
    lasted = await asyncio.gather(*(_client(slow, delay) for delay in delays))
    closed = [seconds for seconds in lasted if seconds is not None]
    print(json.dumps({"closed": len(closed), "longest_s": max(closed, default=0.0)}))


if __name__ == "__main__":
    os.nice(10)  # What is measured beside it must not wait for it.
    port, kind, count, path, rows = sys.argv[1:]
    asyncio.run(_all(Slow(int(port), kind, int(count), path, int(rows))))
