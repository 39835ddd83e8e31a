"""The holder keeps the listening sockets, and lends them to whoever asks by name."""

from __future__ import annotations

import asyncio
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from configs.errors import StartError
from serve.node.holder import Holder, socket_path
from serve.node.lease import Lease, borrow
from serve.node.loop_thread import LoopThread
from serve.node.sockets import listen, waiting
from tests.serve.waiting import wait_until

_ACCEPTS_AND_WAITS = """
import asyncio, sys
from pathlib import Path
from serve.node.lease import Lease

async def accept(slot, lent):
    print(slot, flush=True)

async def main():
    lease = Lease(Path(sys.argv[1]), "http", accept, lambda slot: None)
    await lease.open()
    await asyncio.Event().wait()

asyncio.run(main())
"""


@pytest.fixture
def listening() -> Iterator[socket.socket]:
    """A listening socket on a free port."""
    (opened,) = listen("127.0.0.1", 0, "a test")
    with opened:
        yield opened


@pytest.fixture
def holder(tmp_path: Path, listening: socket.socket) -> Iterator[Holder]:
    """A holder of that socket under the name `http`."""
    held = Holder(tmp_path, {"http": [listening]})
    yield held
    held.close()


@pytest.fixture
def pair(tmp_path: Path) -> Iterator[tuple[socket.socket, ...]]:
    """Two held sockets on one port."""
    slots = listen("127.0.0.1", 0, "a test", 2)
    held = Holder(tmp_path, {"http": slots})
    yield slots
    held.close()


class Borrower:
    """Takes what it is lent, and accepts nothing."""

    def __init__(self, run_dir: Path) -> None:
        self.lent: dict[int, socket.socket] = {}
        self._loop = LoopThread("borrower")
        self._loop.submit(self._open(run_dir)).result(5)

    async def _open(self, run_dir: Path) -> None:
        self._lease = Lease(run_dir, "http", self._accept, self._leave)
        await self._lease.open()

    async def _accept(self, slot: int, lent: socket.socket) -> None:
        self.lent[slot] = lent

    def _leave(self, slot: int) -> None:
        self.lent.pop(slot).close()

    def has(self, *slots: int) -> None:
        """Wait until it has these slots and no other."""
        wait_until(lambda: set(self.lent) == set(slots), f"slots {slots}, not {set(self.lent)}")

    def close(self) -> None:
        """Give everything back."""
        self._loop.submit(self._lease.close()).result(5)
        for lent in self.lent.values():
            lent.close()
        self._loop.stop(5)


@pytest.mark.usefixtures("holder")
def test_a_borrowed_socket_accepts(tmp_path: Path, listening: socket.socket) -> None:
    """What is lent is the same listening socket: its clients can be accepted from it."""
    with borrow(tmp_path, "http") as lent:
        assert lent.getsockname() == listening.getsockname()
        with socket.create_connection(lent.getsockname(), timeout=5) as client:
            accepted, _ = lent.accept()
            with accepted:
                client.sendall(b"hello")
                assert accepted.recv(5) == b"hello"


@pytest.mark.usefixtures("holder")
def test_connections_wait_while_nobody_accepts(tmp_path: Path, listening: socket.socket) -> None:
    """A client that comes between two borrowers is served by the second one."""
    borrow(tmp_path, "http").close()
    with socket.create_connection(listening.getsockname(), timeout=5) as client:
        client.sendall(b"early")
        with borrow(tmp_path, "http") as second:
            accepted, _ = second.accept()
            with accepted:
                assert accepted.recv(5) == b"early"


@pytest.mark.usefixtures("pair")
def test_every_socket_has_somebody(tmp_path: Path) -> None:
    """One borrower has all; a second takes its part, and what it had is the first one's again."""
    first = Borrower(tmp_path)
    first.has(0, 1)
    second = Borrower(tmp_path)
    first.has(0)
    second.has(1)
    second.close()
    first.has(0, 1)
    first.close()


@pytest.mark.usefixtures("pair")
def test_new_borrowers_take_over(tmp_path: Path) -> None:
    """While old and new ones are there they share; when the old have gone each has its own."""
    old = [Borrower(tmp_path) for _ in range(2)]
    new = [Borrower(tmp_path) for _ in range(2)]
    for borrower, slot in zip([*old, *new], [0, 1, 0, 1], strict=True):
        borrower.has(slot)
    for leaving in old:
        leaving.close()
    for borrower, slot in zip(new, [0, 1], strict=True):
        borrower.has(slot)
    for borrower in new:
        borrower.close()


@pytest.mark.usefixtures("pair")
def test_a_killed_borrower_is_replaced_at_once(tmp_path: Path) -> None:
    """The sockets of a process that dies without a word are another one's."""
    command = [sys.executable, "-c", _ACCEPTS_AND_WAITS, str(tmp_path)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, env=_importing()) as dying:
        assert dying.stdout is not None
        assert {int(dying.stdout.readline()) for _ in range(2)} == {0, 1}
        living = Borrower(tmp_path)
        living.has(1)
        dying.send_signal(signal.SIGKILL)
        living.has(0, 1)
        living.close()


def test_others_help_one_that_hangs(
    tmp_path: Path, pair: tuple[socket.socket, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where connections wait though somebody has the socket, everybody is given it."""
    monkeypatch.setattr("serve.node.holder._LOOK_S", 0.02)
    hanging, quick = Borrower(tmp_path), Borrower(tmp_path)
    quick.has(1)
    clients = []
    while not waiting(pair[0]):
        clients.append(socket.create_connection(pair[0].getsockname(), timeout=5))

    wait_until(lambda: 0 in quick.lent, "the slot of the other")
    for client in clients:
        client.close()
    for borrower in (hanging, quick):
        borrower.close()


@pytest.mark.usefixtures("holder")
@pytest.mark.parametrize("name", ["control", ""], ids=["unknown", "silent"])
def test_unknown_names(tmp_path: Path, name: str) -> None:
    """Asking for what is not held says so, and the holder goes on."""
    if name:
        with pytest.raises(StartError, match="holds no socket named"):
            borrow(tmp_path, name)
        with pytest.raises(StartError, match="holds no socket named"):
            asyncio.run(Lease(tmp_path, name, _never, lambda _slot: None).open())
    else:
        with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as silent:
            silent.connect(str(socket_path(tmp_path)))

    borrow(tmp_path, "http").close()


def test_the_port_is_free_after_close(tmp_path: Path, listening: socket.socket) -> None:
    """When the holder and all borrowers are gone nothing listens any more."""
    address = listening.getsockname()
    Holder(tmp_path, {"http": [listening]}).close()

    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(address, timeout=5)


async def _never(_slot: int, _lent: socket.socket) -> None:
    message = "nothing can be lent"
    raise AssertionError(message)


def _importing() -> dict[str, str]:
    return {**os.environ, "PYTHONPATH": str(Path(__file__).parents[3])}
