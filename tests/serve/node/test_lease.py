"""A holder or a borrower that fails spoils its own loan and no other."""

from __future__ import annotations

import socket
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from configs.errors import StartError
from serve.node import lease as module
from serve.node.holder import Holder, socket_path
from serve.node.lease import Lease, borrow
from serve.node.loop_thread import LoopThread
from serve.node.sockets import listen

Asker = socket.socket


def _ends(asker: Asker) -> None:
    asker.recv(32)
    asker.close()


def _ends_unheard(asker: Asker) -> None:
    asker.close()


def _is_silent(_asker: Asker) -> None:
    pass


def _says(what: bytes) -> Callable[[Asker], None]:
    def say(asker: Asker) -> None:
        asker.send(what)

    return say


@contextmanager
def failing_holder(run_dir: Path, answer: Callable[[Asker], None]) -> Iterator[None]:
    """A holder that does this when it is asked, and leaves its socket's name behind."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as server:
        server.bind(str(socket_path(run_dir)))
        server.listen()
        loop = LoopThread("failing-holder")

        async def welcome() -> Asker:
            asker, _ = server.accept()
            answer(asker)
            return asker

        asked = loop.submit(welcome())
        yield
        asked.result(5).close()
        loop.stop(5)
    socket_path(run_dir).unlink()


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Callable[[], set[int]]]:
    """Starts borrowers, and gives the slots that each was lent; what is lent ends with the test."""
    loop, leases, lent = LoopThread("borrower"), [], []

    async def started() -> set[int]:
        slots: set[int] = set()

        async def accept(slot: int, opened: socket.socket) -> None:
            slots.add(slot)
            lent.append(opened)

        lease = Lease(tmp_path, "http", accept, lambda _slot: None)
        await lease.open()
        leases.append(lease)
        return slots

    yield lambda: loop.submit(started()).result(10)
    for lease in leases:
        loop.submit(lease.close()).result(5)
    for opened in lent:
        opened.close()
    loop.stop(5)


@contextmanager
def holder(run_dir: Path) -> Iterator[None]:
    """A holder of one socket that works."""
    held = Holder(run_dir, {"http": listen("127.0.0.1", 0, "a test")})
    yield
    held.close()


@pytest.mark.parametrize(
    ("answer", "why"),
    [
        pytest.param(_ends, "holds no socket named 'http'", id="ends"),
        pytest.param(
            _ends_unheard, "holds no socket named 'http'|cannot be asked", id="ends-unheard"
        ),
        pytest.param(_is_silent, "said nothing", id="silent"),
        pytest.param(_says(b"+0"), "makes no sense", id="nothing-lent"),
        pytest.param(_says(b"+zero"), "makes no sense", id="no-slot"),
        pytest.param(_says(b"\xff\0 rubbish"), "makes no sense", id="rubbish"),
    ],
)
def test_a_start_that_a_holder_spoils_says_why_and_the_next_one_is_lent_to(
    tmp_path: Path,
    start: Callable[[], set[int]],
    monkeypatch: pytest.MonkeyPatch,
    answer: Callable[[Asker], None],
    why: str,
) -> None:
    """No start waits for ever: it ends in one sentence, so that another can be tried."""
    with monkeypatch.context() as patched, failing_holder(tmp_path, answer):
        patched.setattr(module, "_ANSWER_S", 0.2 if answer is _is_silent else 8.0)
        with pytest.raises(StartError, match=why):
            start()

    with holder(tmp_path):
        assert start() == {0}


def test_a_start_without_a_holder_says_why(start: Callable[[], set[int]]) -> None:
    """That there is nobody to ask is told in one sentence too."""
    with pytest.raises(StartError, match="cannot be asked"):
        start()


@pytest.mark.parametrize(
    "rubbish", [b"\xff\0", b"x" * 1000, b"http\0"], ids=["bytes", "long", "nul"]
)
def test_a_borrower_that_asks_for_rubbish_keeps_nobody_from_a_socket(
    tmp_path: Path, start: Callable[[], set[int]], rubbish: bytes
) -> None:
    """Its connection ends; who asks next is lent what there is."""
    with holder(tmp_path):
        with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as babbling:
            babbling.settimeout(5)
            babbling.connect(str(socket_path(tmp_path)))
            babbling.send(rubbish)
            assert babbling.recv(1) == b""

        assert start() == {0}
        borrow(tmp_path, "http").close()
