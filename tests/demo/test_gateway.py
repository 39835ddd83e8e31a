"""The demo's child process: ready before it is used, ended whatever happens."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from benchmarks.processes import free_ports as draw_ports
from configs.errors import StartError, Unavailable
from serve.demo.gateway import Ports, choose_port, last_words, running, stop, up_command, wait_ready

_SERVER = """
import sys
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread

class Ready(BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200)
        self.end_headers()

servers = [ThreadingHTTPServer(("127.0.0.1", int(port)), Ready) for port in sys.argv[1:]]
Thread(target=servers[0].serve_forever, daemon=True).start()
servers[1].serve_forever()
"""
_DEAF = (
    "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); print('deaf', flush=True)"
)


def free_ports() -> Ports:
    """Two ports that nobody has."""
    return Ports(*draw_ports(2))


def server(ports: Ports) -> list[str]:
    """A command that answers 200 on both ports."""
    return [sys.executable, "-c", _SERVER, str(ports.http), str(ports.control)]


def test_the_wanted_port_is_taken_when_it_is_free() -> None:
    """A free wanted port is used; one that somebody listens on is replaced by another."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen()
        taken = listener.getsockname()[1]
        assert choose_port(taken) != taken
    assert choose_port(taken) == taken


def test_the_command_uses_the_ports_it_was_given(tmp_path: Path) -> None:
    """The configuration file names both ports, and the command names the file and the folder."""
    command = up_command(tmp_path, Ports(1234, 1235))
    config = yaml.safe_load(Path(command[command.index("--config") + 1]).read_text("utf-8"))
    assert config == {"listen": {"http_port": 1234, "grpc_port": 0, "control_port": 1235}}
    assert command[:4] == [sys.executable, "-m", "serve.cli.main", "up"]
    assert Path(command[command.index("--data") + 1]).parent == tmp_path


def test_the_child_is_ready_inside_and_gone_after(tmp_path: Path) -> None:
    """Inside the block both ports answer; after it the process is gone."""
    ports = free_ports()
    with running(server(ports), ports, tmp_path / "log") as child:
        assert child.poll() is None
    assert child.poll() is not None


def test_the_child_is_gone_after_a_failure(tmp_path: Path) -> None:
    """An error inside the block ends the child too, and is not swallowed."""
    ports = free_ports()
    with (
        pytest.raises(RuntimeError, match="inside"),
        running(server(ports), ports, tmp_path / "log") as child,
    ):
        raise RuntimeError("inside")
    assert child.poll() is not None


def test_a_child_that_dies_later_is_quoted(tmp_path: Path) -> None:
    """If the block fails because the child has ended, the error carries the child's last words."""
    ports = free_ports()

    def fail_with(child: subprocess.Popen[bytes]) -> None:
        child.kill()
        child.wait()
        raise Unavailable("nobody answers")

    with (
        pytest.raises(StartError, match=r"ended by itself: .*GET"),
        running(server(ports), ports, tmp_path / "log") as child,
    ):
        fail_with(child)


def test_an_error_with_a_living_child_stays_as_it_is(tmp_path: Path) -> None:
    """While the child lives, an error in the block is not blamed on it."""
    ports = free_ports()
    with (
        pytest.raises(Unavailable, match="too busy"),
        running(server(ports), ports, tmp_path / "log"),
    ):
        raise Unavailable("too busy")


def test_a_child_that_dies_is_quoted(tmp_path: Path) -> None:
    """If the child ends before it is ready, the error carries its last words."""
    ports = free_ports()
    command = [sys.executable, "-c", "raise SystemExit('the port is taken by somebody')"]
    with (
        pytest.raises(StartError, match="taken by somebody"),
        running(command, ports, tmp_path / "log"),
    ):
        pytest.fail("it never gets here")


def test_a_child_that_never_gets_ready_is_an_error(tmp_path: Path) -> None:
    """After the time limit the error says how long was waited."""
    log = tmp_path / "log"
    log.write_text("thinking\n", encoding="utf-8")
    child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"])
    try:
        with pytest.raises(StartError, match=r"not ready after 0 s: thinking"):
            wait_ready(child, free_ports(), log, limit_s=0.3)
    finally:
        stop(child)


def test_a_child_that_ignores_the_request_is_killed() -> None:
    """A child that ignores SIGTERM is ended by its process id."""
    command = [sys.executable, "-c", f"{_DEAF}; time.sleep(60)"]
    child = subprocess.Popen(command, stdout=subprocess.PIPE)
    assert child.stdout is not None
    with child.stdout as words:
        assert words.readline() == b"deaf\n"
        stop(child, patience_s=0.2)
    with pytest.raises(ProcessLookupError):
        os.kill(child.pid, 0)


def test_a_silent_log_is_said_to_be_silent(tmp_path: Path) -> None:
    """An empty log gives a sentence, not nothing."""
    log = tmp_path / "log"
    log.touch()
    assert last_words(log) == "it said nothing"
