"""Replicas on other nodes are called over TLS that both ends show a certificate for."""

from __future__ import annotations

import asyncio
import json
import os
import ssl
import subprocess
import sys
import tempfile
from collections.abc import AsyncIterator
from pathlib import Path

import numpy as np
import pytest
from pydantic import ValidationError

from configs.errors import StartError
from configs.settings import Links as LinkSettings
from serve.models import certificates, hang, links
from serve.models.addresses import addresses, announce, folder, host_and_port, sockets
from serve.models.authority import made
from serve.models.batcher import Batcher
from serve.models.certificates import Certificate, client_context, server_context
from serve.models.frames import Tensors
from serve.models.host import Host
from serve.models.links import Links
from serve.models.membership import Membership
from serve.node.ray_environment import ENVIRONMENT
from tests.serve.models.conftest import Started
from tests.serve.models.fakes import HELLO
from tests.serve.models.linked import Gateway, kill
from tests.serve.versions import MODEL, host, run_of
from tests.serve.waiting import PATIENCE_S, until

LOOPBACK = "127.0.0.1"
CHECKOUT = Path(__file__).parents[3]


@pytest.fixture(scope="module")
def shown() -> Certificate:
    """The certificate of the members."""
    return made()


@pytest.fixture
async def gateway(tmp_path: Path, shown: Certificate) -> AsyncIterator[Gateway]:
    """The gateway's side, which has a certificate to show."""
    found = Gateway(tmp_path, lambda: client_context(shown))
    yield found
    await found.links.close()


async def away(tmp_path: Path, shown: Certificate, **how: object) -> tuple[Host, int]:
    """A replica of version 1 on another node, which has been announced; gives its port too."""
    (tmp_path / "elsewhere").mkdir(exist_ok=True)
    opened = await host(tmp_path / "elsewhere", 1, **how)  # type: ignore[arg-type]
    port = await opened.open_to_nodes(LOOPBACK, server_context(shown))
    announce(folder(tmp_path, MODEL, 1), LOOPBACK, port)
    return opened, port


def end(replica: Host) -> None:
    """End a replica as a crash does."""
    kill(replica)
    if replica._for_nodes is not None:
        replica._for_nodes.close()


async def test_a_replica_on_another_node_answers(
    gateway: Gateway, tmp_path: Path, shown: Certificate
) -> None:
    """Small and large tensors arrive as they were sent."""
    replica, _ = await away(tmp_path, shown, run=lambda tensors: tensors)
    large = np.arange(3 * 224 * 224 * 8, dtype=np.float32).reshape(8, 3, 224, 224)

    for tensor in (large[:, 0, 0, :3], large, large[:1], large[:, :1, :1, 0]):
        answer = gateway.batcher.submit(
            (tensor,), len(tensor), asyncio.get_running_loop().time() + 9
        )
        np.testing.assert_array_equal((await answer)[0], tensor)
    end(replica)


async def test_when_a_node_dies_the_replica_that_is_left_answers(
    gateway: Gateway, start: Started, tmp_path: Path, shown: Certificate
) -> None:
    """A batch that was out there is sent again here."""
    far, _ = await away(tmp_path, shown)
    await start()
    await until(lambda: gateway.batcher.carriers == 2, "both are linked")
    asked = [asyncio.ensure_future(gateway.sum_of([n, 1, 1])) for n in range(200)]
    await asyncio.sleep(0)
    end(far)

    assert await asyncio.gather(*asked) == [n + 3.0 for n in range(200)]
    await until(lambda: not far._links, "the far link has gone")
    assert await gateway.sum_of([1, 1, 1]) == 4.0


async def test_a_drained_replica_leaves_other_nodes_politely(
    gateway: Gateway, start: Started, tmp_path: Path, shown: Certificate
) -> None:
    """Its goodbye is heard over TCP too, and it accepts nobody any more."""
    far, port = await away(tmp_path, shown)
    assert await gateway.sum_of([1, 1, 1]) == 4.0
    await start()
    await until(lambda: gateway.batcher.carriers == 2, "both are linked")

    await far.drain(2.0)

    with pytest.raises(ConnectionRefusedError):
        await asyncio.open_connection(LOOPBACK, port)
    assert await gateway.sum_of([1, 1, 1]) == 4.0
    assert gateway.retries == 0


async def test_a_peer_that_has_another_authority_carries_nothing(
    gateway: Gateway, start: Started, tmp_path: Path, shown: Certificate
) -> None:
    """A stranger that listens where a replica was announced is not spoken to."""
    asked: list[Tensors] = []

    def spy(tensors: Tensors) -> Tensors:
        asked.append(tensors)
        return run_of(1)(tensors)

    stranger, _ = await away(tmp_path, made(), run=spy)
    await start()

    assert await asyncio.gather(*(gateway.sum_of([n, 1, 1]) for n in range(20)))
    assert gateway.batcher.carriers == 1
    assert asked == []
    end(stranger)


@pytest.mark.parametrize("shows", ["nothing", "a-strangers", "no-tls"])
async def test_a_host_answers_members_only(tmp_path: Path, shown: Certificate, shows: str) -> None:
    """Who shows no certificate by the authority does not get so much as a greeting."""
    replica, port = await away(tmp_path, shown)
    context: ssl.SSLContext | None = None
    if shows == "nothing":
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    elif shows == "a-strangers":
        context = client_context(made())
        context.verify_mode = ssl.CERT_NONE

    read = b""
    try:
        reader, writer = await asyncio.open_connection(LOOPBACK, port, ssl=context)
        writer.write(b"\x10\0\0\0" + b"x" * 16)
        read = await asyncio.wait_for(reader.read(100), PATIENCE_S)
        writer.transport.abort()
    except (OSError, ssl.SSLError):
        pass

    assert HELLO not in read
    assert not replica._links
    end(replica)


async def test_without_a_certificate_no_other_node_is_called(tmp_path: Path) -> None:
    """Tensors never travel in the clear, even to one that would take them."""
    called: list[asyncio.StreamWriter] = []

    async def greet(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        called.append(writer)
        writer.write(HELLO)

    server = await asyncio.start_server(greet, LOOPBACK, 0)
    announce(folder(tmp_path, MODEL, 1), LOOPBACK, server.sockets[0].getsockname()[1])
    batcher = Batcher(batched=True, max_rows=16, queue_max_rows=16)
    blind = Links(1, folder(tmp_path, MODEL, 1), batcher)
    await until(lambda: any(known.health.not_before for known in blind._replicas.values()), "a try")

    assert not blind.connected
    assert called == []
    await blind.close()
    server.close()


async def test_a_node_that_falls_silent_is_noticed(
    gateway: Gateway,
    start: Started,
    tmp_path: Path,
    shown: Certificate,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Half open: the connection stands, nothing comes. Its batch is answered by another."""
    # Ten seconds are for who has never answered; in one there is time to start another.
    monkeypatch.setattr(hang, "_SILENT_AT_FIRST_S", 1.0)
    silent: list[asyncio.StreamWriter] = []

    async def greet(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        silent.append(writer)
        writer.write(HELLO)

    server = await asyncio.start_server(greet, LOOPBACK, 0, ssl=server_context(shown))
    announce(folder(tmp_path, MODEL, 1), LOOPBACK, server.sockets[0].getsockname()[1])
    await until(lambda: bool(silent) and gateway.batcher.carriers == 1, "the link")
    asked = gateway.ask([1, 1, 1])
    await start()

    assert float((await asyncio.wait_for(asked, PATIENCE_S))[0][0, 0]) == 4.0
    assert gateway.retries == 1
    server.close()
    for writer in silent:
        writer.transport.abort()


async def test_a_node_that_was_not_heard_of_for_long_is_forgotten(
    gateway: Gateway, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A replica that cannot be reached stays listed only while it is announced."""
    monkeypatch.setattr(links, "dial", _unreachable)
    lately = announce(folder(tmp_path, MODEL, 1), LOOPBACK, 1)
    long_ago = announce(folder(tmp_path, MODEL, 1), LOOPBACK, 2)
    os.utime(long_ago, (0, 0))

    await until(lambda: not Path(long_ago).exists(), "the old one is forgotten")
    assert addresses(folder(tmp_path, MODEL, 1)) == (lately,)


async def _unreachable(*_: object) -> None:
    raise OSError("no route to host")


def test_names_of_other_nodes(tmp_path: Path) -> None:
    """A file names host and port, IPv6 too; what names neither is left out."""
    far = announce(tmp_path, "10.0.0.7", 4711)
    six = announce(tmp_path, "fd00::7", 80)
    (tmp_path / "nonsense.tcp").touch()
    (tmp_path / "a:b.tcp").touch()
    near = tmp_path / "1.sock"
    near.touch()

    assert addresses(tmp_path) == (str(near), far, six)
    assert sockets(tmp_path) == (str(near),)
    assert [host_and_port(address) for address in addresses(tmp_path)] == [
        None,
        ("10.0.0.7", 4711),
        ("fd00::7", 80),
    ]


def test_a_certificate_does_not_print_its_key(shown: Certificate) -> None:
    """Whatever logs it logs no secret."""
    assert "PRIVATE" not in f"{shown!r} {shown}"


def test_certificates_of_ones_own(tmp_path: Path, shown: Certificate) -> None:
    """Files are read, or the one that is wrong is named."""
    files = [tmp_path / name for name in ("ca.pem", "link.pem", "link.key")]
    for file, content in zip(files, (shown.authority, shown.certificate, shown.key), strict=True):
        file.write_bytes(content)

    assert certificates.read(*files) == shown
    with pytest.raises(StartError, match=r"links\.tls_key .*none cannot be read"):
        certificates.read(files[0], files[1], tmp_path / "none")
    with pytest.raises(StartError, match="cannot be used"):
        server_context(Certificate(shown.authority, shown.certificate, b"no key"))
    with pytest.raises(StartError, match="cannot be used"):
        client_context(Certificate(shown.authority, shown.certificate, made().key))


def test_a_certificate_is_made_once_and_for_its_owner_only(tmp_path: Path) -> None:
    """All processes of a gateway show the same one; nobody else on the machine can read its key."""
    first, second = Membership(LinkSettings(), tmp_path), Membership(LinkSettings(), tmp_path)
    assert first.client_context() is None

    assert first.certificate() == second.certificate()
    assert second.client_context() is not None
    files = [tmp_path / "link", *(tmp_path / "link").iterdir()]
    assert len(files) == 4
    assert all(file.stat().st_mode & 0o077 == 0 for file in files)


def test_settings_name_all_of_a_certificate_or_nothing(tmp_path: Path, shown: Certificate) -> None:
    """A part of it is refused; all of it is what is shown."""
    files = {"tls_authority": shown.authority, "tls_certificate": shown.certificate}
    for name, content in (files | {"tls_key": shown.key}).items():
        (tmp_path / name).write_bytes(content)
    paths = {name: tmp_path / name for name in (*files, "tls_key")}

    with pytest.raises(ValidationError, match="need all of tls_authority"):
        LinkSettings(tls_key=paths["tls_key"])
    member = Membership(LinkSettings(**paths), tmp_path)

    assert member.certificate() == shown
    assert member.client_context() is not None
    assert not (tmp_path / "link").exists()


@pytest.mark.hostile
def test_a_version_on_two_ray_nodes_survives_the_death_of_one() -> None:
    """Replicas on both nodes answer; the far node is killed under load, and no request is lost."""
    with tempfile.TemporaryDirectory(prefix="two-") as home:
        ran = subprocess.run(
            [sys.executable, "-m", "tests.serve.models.two_nodes", home],
            capture_output=True,
            text=True,
            timeout=240,
            check=False,
            cwd=CHECKOUT,
            env={**os.environ, **ENVIRONMENT, "RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER": "1"},
        )
    assert ran.returncode == 0, ran.stderr[-3000:]
    told = json.loads(ran.stdout.strip().splitlines()[-1])

    assert told["near"] > 0
    assert told["far"] > 0
    assert told["right"] > told["before"] + 500
    assert told["failed"] == 0
