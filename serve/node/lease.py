"""The borrower's side: listening sockets that the node's holder lends, and takes back."""

from __future__ import annotations

import asyncio
import logging
import socket
from collections.abc import Awaitable, Callable
from pathlib import Path

from configs.errors import StartError
from serve.node.holder import ACCEPT, LEAVE, MESSAGE_BYTES, socket_path

_ANSWER_S = 5.0
_WORDS = ACCEPT.encode(), LEAVE.encode()
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
        """Ask for sockets; returns once there is one to accept on.

        `StartError` if the holder has gone, has none of that name, says nothing, or makes no sense.
        """
        asking = _ask(self._run_dir, self._name)
        asking.setblocking(False)
        readable = asyncio.Event()
        asyncio.get_running_loop().add_reader(asking, readable.set)
        self._asking = asking
        begun = asyncio.Event()
        self._following = asyncio.create_task(self._follow_or_let_go(asking, readable, begun))
        first = asyncio.create_task(begun.wait())
        asked = (first, self._following)
        await asyncio.wait(asked, timeout=_ANSWER_S, return_when=asyncio.FIRST_COMPLETED)
        if not begun.is_set():
            first.cancel()
            answered = self._following.done()
            await self.close()
            if not answered:
                raise StartError(f"the node's holder said nothing for {_ANSWER_S:g} s")
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
            except ConnectionResetError:  # It ended before it had read what it was asked.
                said = b""
            if not said:
                asyncio.get_running_loop().remove_reader(asking)
                return
            if said.startswith(ACCEPT.encode()):
                await self._accept(_slot(said), _lent(said, descriptors))
                begun.set()
            else:
                self._leave(_slot(said))


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
    except OSError as error:
        asking.close()
        raise StartError(f"the node's holder cannot be asked: {error}") from error
    return asking


def _slot(said: bytes) -> int:
    """Give the slot that a message speaks of."""
    if said[:1] not in _WORDS or not said[1:].isdigit():
        raise _senseless(said)
    return int(said[1:])


def _lent(said: bytes, descriptors: list[int]) -> socket.socket:
    """Give the socket that came with a message."""
    if not descriptors:
        raise _senseless(said)
    return socket.socket(fileno=descriptors[0])


def _senseless(said: bytes) -> StartError:
    return StartError(f"the node's holder said {said!r}, which makes no sense")


def _nothing(name: str) -> StartError:
    return StartError(f"the node holds no socket named {name!r}")
