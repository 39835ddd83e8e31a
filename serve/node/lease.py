"""The borrower's side: listening sockets that the node's holder lends, and takes back."""

from __future__ import annotations

import asyncio
import logging
import socket
from collections.abc import Awaitable, Callable
from pathlib import Path

from configs.errors import StartError
from serve.node.holder import ACCEPT, MESSAGE_BYTES, socket_path

_ANSWER_S = 5.0
_log = logging.getLogger("weir.gateway")


class Lease:
    """Follows the holder's word on which of a name's sockets to accept.

    `accept` is given a slot and its socket, `leave` the slot of one that others accept on now.
    """

    def __init__(
        self,
        run_dir: Path,
        name: str,
        accept: Callable[[int, socket.socket], Awaitable[None]],
        leave: Callable[[int], None],
    ) -> None:
        self._run_dir = run_dir
        self._name = name
        self._accept = accept
        self._leave = leave
        self._asking: socket.socket | None = None
        self._following: asyncio.Task[None] | None = None

    async def open(self) -> None:
        """Ask for sockets; returns once there is one to accept on."""
        asking = _ask(self._run_dir, self._name)
        asking.setblocking(False)
        readable = asyncio.Event()
        asyncio.get_running_loop().add_reader(asking, readable.set)
        self._asking = asking
        begun = asyncio.Event()
        self._following = asyncio.create_task(self._follow_or_let_go(asking, readable, begun))
        first = asyncio.create_task(begun.wait())
        await asyncio.wait((first, self._following), return_when=asyncio.FIRST_COMPLETED)
        if self._following.done():
            first.cancel()
            asking.close()
            self._following.result()
            raise _nothing(self._name)

    async def close(self) -> None:
        """Give everything back, so that others accept; what was lent is the caller's to close."""
        if self._asking is None or self._following is None:
            return
        if self._asking.fileno() >= 0:
            asyncio.get_running_loop().remove_reader(self._asking)
        self._following.cancel()
        await asyncio.wait((self._following,))
        self._asking.close()

    async def _follow_or_let_go(
        self, asking: socket.socket, readable: asyncio.Event, begun: asyncio.Event
    ) -> None:
        """Follow the holder; if that fails, let it lend to others what was lent here."""
        try:
            await self._follow(asking, readable, begun)
        except Exception:
            _log.exception("a replica no longer hears which sockets it is to accept on")
            asyncio.get_running_loop().remove_reader(asking)
            asking.close()
            raise

    async def _follow(
        self, asking: socket.socket, readable: asyncio.Event, begun: asyncio.Event
    ) -> None:
        """Do as the holder says until it says no more; what is lent then is kept."""
        while True:
            try:
                said, descriptors, _, _ = socket.recv_fds(asking, MESSAGE_BYTES, 1)
            except BlockingIOError:
                readable.clear()
                await readable.wait()
                continue
            if not said:
                asyncio.get_running_loop().remove_reader(asking)
                return
            slot = int(said[1:])
            if said.startswith(ACCEPT.encode()):
                await self._accept(slot, socket.socket(fileno=descriptors[0]))
                begun.set()
            else:
                self._leave(slot)


def borrow(run_dir: Path, name: str) -> socket.socket:
    """Ask the node's holder for a copy of the one listening socket of a name."""
    with _ask(run_dir, name) as asking:
        _, descriptors, _, _ = socket.recv_fds(asking, MESSAGE_BYTES, 1)
    if not descriptors:
        raise _nothing(name)
    return socket.socket(fileno=descriptors[0])


def _ask(run_dir: Path, name: str) -> socket.socket:
    asking = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    asking.settimeout(_ANSWER_S)
    try:
        asking.connect(str(socket_path(run_dir)))
        asking.sendall(name.encode("ascii"))
    except OSError:
        asking.close()
        raise
    return asking


def _nothing(name: str) -> StartError:
    return StartError(f"the node holds no socket named {name!r}")
