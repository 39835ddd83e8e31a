"""Listeners speak TLS 1.2 or newer when they have a certificate, and nothing else."""

from __future__ import annotations

import re
import socket
import ssl
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace

import httpx
import pytest
from cryptography.hazmat.primitives import serialization

from configs.errors import BadInput, StartError, Unavailable
from configs.settings import Limits, Listen
from serve.access.door import Door
from serve.control.api import create_app
from serve.control.client import ControlClient
from serve.edge.listener import Listener
from serve.edge.tls import server_context
from serve.node.loop_thread import LoopThread
from serve.node.sockets import listen
from serve.protocol.grpc_frames import framed
from tests.control.memory import MemoryControl
from tests.security.certificates import Certified, certified
from tests.serve.edge.grpc_listening import (
    LARGE_BYTES,
    MESSAGE,
    PREFACE,
    data,
    goaway,
    grpc_listening,
    head,
    roomy,
    settings,
)
from tests.serve.waiting import wait_until


@dataclass(frozen=True)
class Served:
    """Where a control API listens with TLS, and whom to trust."""

    port: int
    files: Certified

    @property
    def url(self) -> str:
        """Its address."""
        return f"https://127.0.0.1:{self.port}"


@contextmanager
def serving(tls: ssl.SSLContext | None, slow_s: float = 5.0) -> Iterator[int]:
    """A control API behind the listener that is used for everything; gives its port."""
    thread = LoopThread("tls")
    app = create_app(MemoryControl(), Door(required=False))
    (held,) = listen("127.0.0.1", 0, "a test")
    with held:

        async def opened() -> Listener:
            listener = Listener(app, Limits(slow_s=slow_s), tls=tls)
            await listener.open(held)
            return listener

        listener = thread.submit(opened()).result(30)
        yield held.getsockname()[1]
        thread.submit(listener.drain(0.1, 0.1, lambda: False)).result(30)
        thread.stop(5)


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    """A control API with a certificate."""
    files = certified(tmp_path_factory.mktemp("tls"))
    with serving(server_context(files.listen())) as port:
        yield Served(port, files)


def test_a_client_that_trusts_the_signer_is_answered(served: Served, tmp_path: Path) -> None:
    """Small and large bodies go through, and the client needs only the signer's file."""
    file = tmp_path / "model.onnx"
    file.write_bytes(bytes(3 * 2**20))

    with ControlClient(served.url, "ada", ca=served.files.ca) as client:
        assert client.health().status == "ready"
        assert client.upload(file) == client.upload(file)


def test_a_client_that_trusts_others_is_told_whom_to_trust(served: Served, tmp_path: Path) -> None:
    """A certificate by a stranger is not accepted, and the sentence says what to do."""
    other = certified(tmp_path / "other").ca

    for ca in (None, other):
        with (
            ControlClient(served.url, "ada", ca=ca) as client,
            pytest.raises(Unavailable, match=r"not to be trusted.*WEIR_CA"),
        ):
            client.models()


def test_a_handshake_that_does_not_end_is_broken_off(tmp_path: Path) -> None:
    """Who connects and says nothing, or half a greeting, is closed after `limits.slow_s`."""
    context = server_context(certified(tmp_path / "tls").listen())
    with serving(context, slow_s=0.3) as port:
        for greeting in (b"", b"\x16\x03\x01"):
            with socket.create_connection(("127.0.0.1", port), timeout=10) as connection:
                connection.sendall(greeting)
                assert connection.recv(1) == b""


@pytest.mark.parametrize("offered", [[], ["http/1.1"], ["h2"], ["http/1.1", "h2"]])
def test_who_does_not_offer_http_2_gets_no_grpc(tmp_path: Path, offered: list[str]) -> None:
    """The protocol is agreed upon in the handshake (RFC 9113, 3.2), or the connection ends."""
    files = certified(tmp_path / "tls")
    client = ssl.create_default_context(cafile=files.ca)
    if offered:
        client.set_alpn_protocols(offered)
    with (
        grpc_listening(Limits(), server_context(files.listen(), "h2")) as served,
        socket.create_connection(("127.0.0.1", served.port), timeout=10) as connection,
        client.wrap_socket(connection, server_hostname="127.0.0.1") as spoken,
    ):
        spoken.sendall(PREFACE + settings())
        if "h2" in offered:
            assert spoken.recv(1)
            assert not served.closed
        else:
            with suppress(ConnectionError):
                assert spoken.recv(1) == b""
            assert served.closed == {"malformed": 1}


@contextmanager
def grpc_over_tls(port: int, files: Certified) -> Iterator[ssl.SSLSocket]:
    """A client that speaks HTTP/2 over TLS, with little room of its own."""
    trusting = ssl.create_default_context(cafile=files.ca)
    trusting.set_alpn_protocols(["h2"])
    with socket.socket() as connection:
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        connection.settimeout(30)
        connection.connect(("127.0.0.1", port))
        with trusting.wrap_socket(connection, server_hostname="127.0.0.1") as spoken:
            yield spoken


def test_who_is_turned_away_does_not_stay(tmp_path: Path) -> None:
    """One connection too many over TLS ends soon, though its client says nothing."""
    files = certified(tmp_path / "tls")
    limits = Limits(connections_max=1, slow_s=3.0)
    with (
        grpc_listening(limits, server_context(files.listen(), "h2")) as served,
        grpc_over_tls(served.port, files) as first,
    ):
        # Greeted at once: it must not be broken off as slow while the other one connects.
        first.sendall(PREFACE + settings())
        with grpc_over_tls(served.port, files) as second:
            wait_until(lambda: served.closed["too_many"] == 1, "one to be turned away")
            with socket.socket(fileno=second.detach()) as plain, suppress(ConnectionError):
                plain.settimeout(30)
                while plain.recv(65536):
                    pass


def test_the_last_answer_over_tls(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where no side can be closed alone, the connection ends when the answer has been taken."""
    monkeypatch.setattr("serve.edge.grpc_connections._LOOK_S", 0.02)
    files = certified(tmp_path / "tls")
    # The client reads nothing while it counts looks, however long that takes.
    with (
        grpc_listening(Limits(slow_s=60.0), server_context(files.listen(), "h2")) as served,
        grpc_over_tls(served.port, files) as spoken,
    ):
        spoken.sendall(roomy() + head(1, path=b"/wait") + data(1, framed(bytes(16_000))))
        large = [head(n, path=b"/large") + data(n, MESSAGE) for n in range(3, 11, 2)]
        wait_until(lambda: len(served.desk.served) == 1, "the first call")
        spoken.sendall(b"".join(large) + goaway())
        served.do(served.desk.go)
        looks = served.looks()
        wait_until(lambda: served.looks() > looks + 20, "many looks")
        received = b""
        with suppress(ConnectionError):
            while piece := spoken.recv(65536):
                received += piece

        assert len(received) > 4 * LARGE_BYTES
        wait_until(lambda: not len(served.all), "the connection to end")


def test_plain_http_fails(served: Served) -> None:
    """The port answers nothing in the clear, and the client gives a hint."""
    with pytest.raises(httpx.TransportError):
        httpx.get(f"http://127.0.0.1:{served.port}/health/live", trust_env=False)
    with (
        ControlClient(f"http://127.0.0.1:{served.port}", "ada") as client,
        pytest.raises(Unavailable, match="ask https://"),
    ):
        client.models()


@pytest.mark.parametrize("version", ["TLSv1_2", "TLSv1_3"])
def test_tls_of_today_is_spoken(served: Served, version: str) -> None:
    """A client may choose 1.2 or 1.3."""
    context = ssl.create_default_context(cafile=served.files.ca)
    context.minimum_version = context.maximum_version = ssl.TLSVersion[version]

    with (
        socket.create_connection(("127.0.0.1", served.port), timeout=30) as plain,
        context.wrap_socket(plain, server_hostname="127.0.0.1") as spoken,
    ):
        assert spoken.version() == version.replace("_", ".")


def test_tls_of_yesterday_is_refused(served: Served) -> None:
    """The server itself hangs up on a client that can speak no more than 1.1."""
    context = ssl.create_default_context(cafile=served.files.ca)
    context.set_ciphers("ALL:@SECLEVEL=0")
    with pytest.warns(DeprecationWarning, match="TLSv1 is deprecated"):
        context.minimum_version = ssl.TLSVersion.TLSv1
    with pytest.warns(DeprecationWarning, match="TLSv1_1 is deprecated"):
        context.maximum_version = ssl.TLSVersion.TLSv1_1

    with (
        socket.create_connection(("127.0.0.1", served.port), timeout=30) as plain,
        pytest.raises(ssl.SSLError, match=r"UNEXPECTED_EOF|ALERT_PROTOCOL_VERSION"),
    ):
        context.wrap_socket(plain, server_hostname="127.0.0.1")


def test_nothing_older_than_1_2_is_configured(
    served: Served, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The floor is ours, whatever the system's own is."""
    lax = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    lax.minimum_version = ssl.TLSVersion.MINIMUM_SUPPORTED
    changed = SimpleNamespace(**{**vars(ssl), "SSLContext": lambda _: lax})
    monkeypatch.setattr("serve.edge.tls.ssl", changed)

    context = server_context(served.files.listen())

    assert context is not None
    assert context.minimum_version is ssl.TLSVersion.TLSv1_2


def test_without_a_certificate_there_is_no_tls() -> None:
    """What is not configured is not spoken."""
    assert server_context(Listen()) is None


def test_files_that_cannot_be_used_stop_the_start_in_one_line(
    served: Served, tmp_path: Path
) -> None:
    """A missing file, a wrong one, another's key and a locked key are each named."""
    good = served.files
    other = certified(tmp_path / "other")
    locked = tmp_path / "locked.key"
    locked.write_bytes(_locked(good.key.read_bytes()))
    nonsense = tmp_path / "nonsense.pem"
    nonsense.write_text("hello")
    missing = tmp_path / "missing.pem"

    for certificate, key, words in (
        (missing, good.key, f"listen.tls_certificate {missing} cannot be read: No such file"),
        (good.certificate, missing, f"listen.tls_key {missing} cannot be read: No such file"),
        (good.certificate, tmp_path, "cannot be read: Is a directory"),
        (good.certificate, other.key, f"{other.key} is not the key of"),
        (nonsense, good.key, "must be PEM files"),
        (good.certificate, nonsense, "must be PEM files"),
        (good.certificate, locked, "without a pass phrase"),
    ):
        with pytest.raises(StartError, match=re.escape(words)) as refused:
            server_context(Listen(tls_certificate=certificate, tls_key=key))
        assert "\n" not in refused.value.message


def test_a_file_of_trust_that_is_none_is_named(tmp_path: Path) -> None:
    """A wrong --ca is a typing error, not a missing gateway."""
    wrong = tmp_path / "ca.pem"
    wrong.write_text("hello")

    with pytest.raises(BadInput, match="holds no certificates"):
        ControlClient("https://127.0.0.1", "ada", ca=wrong)


def test_tls_towards_a_port_without_it_is_said_to_be_that() -> None:
    """Whoever types https for http is told."""
    with (
        serving(None) as port,
        ControlClient(f"https://127.0.0.1:{port}", "ada") as client,
        pytest.raises(Unavailable, match="try http://"),
    ):
        client.models()


def _locked(key: bytes) -> bytes:
    """A private key with a pass phrase."""
    loaded = serialization.load_pem_private_key(key, None)
    return loaded.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.BestAvailableEncryption(b"secret"),
    )
