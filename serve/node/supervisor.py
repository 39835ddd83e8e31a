"""The supervisor: starts the gateway of a node, watches it, and leaves nothing behind."""

from __future__ import annotations

import contextlib
import os
import selectors
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import FrameType
from typing import IO

from configs.errors import StartError
from configs.settings import Settings
from serve.edge.tls import server_context
from serve.node.descendants import adopt_orphans, end_descendants
from serve.node.descriptors import allow_connections
from serve.node.holder import Holder
from serve.node.logs import log_path
from serve.node.names import CONTROL_SOCKET, GRPC_SOCKET, HTTP_SOCKET
from serve.node.owned import owned
from serve.node.ray_environment import ENVIRONMENT
from serve.node.sockets import listen

_DRIVER_DOWN_S = 4.3
_END_S = 5.0
_ENDING = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)
Tell = Callable[["Started"], None]
Held = Mapping[str, Sequence[socket.socket]]


@dataclass(frozen=True, slots=True)
class Started:
    """Where the gateway listens, and how long it took to be ready."""

    http: str
    grpc: str
    control: str
    seconds: float


def supervise(settings: Settings, tell: Tell) -> None:
    """Run the gateway until SIGTERM, SIGINT or SIGHUP comes.

    `tell` is called once the gateway is ready. Raises `StartError` when it cannot start here, or
    ends by itself.
    """
    server_context(settings.listen)  # Nothing starts with files that cannot be used.
    allow_connections(settings.limits.connections_max)
    with (
        _signals() as heard,
        owned(settings.data),
        _sockets(settings) as sockets,
        _run_dir() as run_dir,
    ):
        _run(settings, run_dir, sockets, Watch(heard, tell))


@dataclass(frozen=True, slots=True)
class Watch:
    """What the supervisor listens to, `heard` becoming readable when a signal comes, and tells."""

    heard: int
    tell: Tell


def _run(settings: Settings, run_dir: Path, sockets: Held, watch: Watch) -> None:
    began = time.monotonic()
    adopt_orphans()
    resolved = _resolved(settings)
    (run_dir / "settings.json").write_text(resolved.model_dump_json())
    log = log_path(resolved.data)
    with contextlib.ExitStack() as stack:
        stack.callback(Holder(run_dir, sockets).close)
        driver, status = _start_driver(run_dir, stack.enter_context(log.open("ab")))
        stack.callback(os.close, status)
        stack.callback(_end, driver)
        word = _first_line(status, watch.heard)
        if word is None:
            return
        if word != "ready":
            raise StartError(_why(word, log))
        scheme = "http" if settings.listen.tls_certificate is None else "https"
        http, control = (_url(scheme, sockets[name][0]) for name in (HTTP_SOCKET, CONTROL_SOCKET))
        grpc_port = sockets[GRPC_SOCKET][0].getsockname()[1]
        grpc = f"{_host(settings.listen.host)}:{grpc_port}"
        watch.tell(Started(http, grpc, control, time.monotonic() - began))
        if _first(watch.heard, status) == status:
            raise StartError(f"the gateway ended by itself; see {log}")


def _start_driver(run_dir: Path, log: IO[bytes]) -> tuple[subprocess.Popen[bytes], int]:
    """Start the driver in a session of its own, so that Ctrl-C reaches the supervisor alone."""
    status, status_write = os.pipe()
    driver = subprocess.Popen(  # noqa: S603 - our own interpreter and module
        [sys.executable, "-m", "serve.node.driver", str(run_dir), str(status_write)],
        stdin=subprocess.DEVNULL,
        stdout=log,
        stderr=log,
        pass_fds=(status_write,),
        start_new_session=True,
        env={**os.environ, **ENVIRONMENT},
    )
    os.close(status_write)
    return driver, status


def _first_line(status: int, heard: int) -> str | None:
    """Wait for the driver's first line, empty if it ends without a word; None on a signal."""
    said = b""
    while not said.endswith(b"\n"):
        if _first(heard, status) == heard:
            return None
        more = os.read(status, 4096)
        if not more:
            break
        said += more
    return said.decode(errors="replace").strip()


def _first(*readable: int) -> int:
    """Wait until one of the descriptors can be read; the first of them if several can."""
    with selectors.DefaultSelector() as selector:
        for descriptor in readable:
            selector.register(descriptor, selectors.EVENT_READ)
        ready = {key.fd for key, _ in selector.select()}
    return next(descriptor for descriptor in readable if descriptor in ready)


def _why(word: str, log: Path) -> str:
    if word.startswith("error: "):
        return f"{word.removeprefix('error: ')} (log: {log})"
    return f"the gateway did not start; see {log}"


def _end(driver: subprocess.Popen[bytes]) -> None:
    """End the driver politely, then everything that is left without asking."""
    if driver.poll() is None:
        driver.terminate()
        with contextlib.suppress(subprocess.TimeoutExpired):
            driver.wait(_DRIVER_DOWN_S)
    end_descendants(_END_S)


@contextlib.contextmanager
def _signals() -> Iterator[int]:
    """Give a descriptor that becomes readable when a signal to end comes.

    Nothing is interrupted by a signal, so that no step of starting or ending is left half done.
    """
    receive, send = socket.socketpair()
    send.setblocking(False)
    before_fd = signal.set_wakeup_fd(send.fileno(), warn_on_full_buffer=False)
    before = {number: signal.signal(number, _note) for number in _ENDING}
    try:
        yield receive.fileno()
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
        signal.set_wakeup_fd(before_fd)
        receive.close()
        send.close()


def _note(_number: int, _frame: FrameType | None) -> None:
    """Do nothing: the signal's arrival is on the descriptor already."""


@contextlib.contextmanager
def _sockets(settings: Settings) -> Iterator[Held]:
    """Hold the listening sockets: for inference one for each gateway replica."""
    place = settings.listen
    replicas = settings.hosts.gateway_replicas
    with contextlib.ExitStack() as stack:
        held: dict[str, tuple[socket.socket, ...]] = {}
        for name, port, purpose, slots in (
            (HTTP_SOCKET, place.http_port, "inference", replicas),
            (GRPC_SOCKET, place.grpc_port, "gRPC inference", replicas),
            (CONTROL_SOCKET, place.control_port, "control", 1),
        ):
            held[name] = listen(place.host, port, purpose, slots)
            for sock in held[name]:
                stack.enter_context(sock)
        yield held


@contextlib.contextmanager
def _run_dir() -> Iterator[Path]:
    """Give a folder for sockets and for Ray, gone afterwards."""
    path = Path(tempfile.mkdtemp(prefix="weir-"))
    try:
        yield path
    finally:
        shutil.rmtree(path, ignore_errors=True)


def _resolved(settings: Settings) -> Settings:
    """Give settings whose paths mean the same in every working folder."""
    listen = settings.listen
    files = {
        name: path.resolve()
        for name in ("tls_certificate", "tls_key")
        if (path := getattr(listen, name)) is not None
    }
    place = listen.model_copy(update=files)
    return settings.model_copy(update={"data": settings.data.resolve(), "listen": place})


def _url(scheme: str, listening: socket.socket) -> str:
    host, port = listening.getsockname()[:2]
    return f"{scheme}://{_host(host)}:{port}"


def _host(host: str) -> str:
    return f"[{host}]" if ":" in host else host
