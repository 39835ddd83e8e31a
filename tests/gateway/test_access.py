"""A real gateway with keys and TLS, and one that nobody could ever use."""

from __future__ import annotations

import ssl
from collections.abc import Mapping
from pathlib import Path

import httpx
import pytest

from configs.errors import Forbidden, Unauthenticated
from registry.keys import AccessRole
from serve.control.client import ControlClient
from tests.gateway.running import launched, running_gateway, weir
from tests.security.certificates import certified

pytestmark = pytest.mark.gateway
_PORTS = {"http_port": 0, "grpc_port": 0, "control_port": 0}


def test_the_control_port_asks_for_keys_over_tls(tmp_path: Path) -> None:
    """With a first key made before, `weir up` is ready; keys come and go while it runs."""
    files = certified(tmp_path / "tls")
    listen = {**_PORTS, "tls_certificate": str(files.certificate), "tls_key": str(files.key)}
    made = weir("keys", "create", "ada", "--role", "admin", "--data", str(tmp_path / "data"))
    admin_key = made.stdout.strip()

    settings = {"listen": listen, "access": {"required": True}}
    with launched(tmp_path, settings) as started:
        url = started.wait_ready().control
        assert url.startswith("https://127.0.0.1:")
        with (
            ControlClient(url, "nobody", ca=files.ca) as stranger,
            ControlClient(url, "nobody", admin_key, files.ca) as admin,
        ):
            assert stranger.health().status == "ready"
            with pytest.raises(Unauthenticated):
                stranger.models()
            viewer = admin.create_key("eve", AccessRole.VIEWER)
            with ControlClient(url, "nobody", viewer.token, files.ca) as reader:
                assert reader.models() == ()
                with pytest.raises(Forbidden):
                    reader.keys()
                admin.revoke_key(viewer.key.id, "gone")
                with pytest.raises(Unauthenticated):
                    reader.models()
            logged = [(entry.actor, entry.action) for entry in admin.audit(after=1)]
            assert logged[0] == ("weir", "configure")
            assert [actor for actor, _ in logged[1:]] == ["ada", "ada"]
        assert started.end() == 0, started.complained()
        assert started.family.wait_gone(15.0) == []


def test_the_inference_port_speaks_tls(tmp_path: Path) -> None:
    """With a certificate it answers over TLS, and in the clear not at all."""
    files = certified(tmp_path / "tls")
    listen = {**_PORTS, "tls_certificate": str(files.certificate), "tls_key": str(files.key)}

    with running_gateway(tmp_path, {"listen": listen}) as running:
        ready = f"{running.http}/v2/health/ready"
        trust = ssl.create_default_context(cafile=files.ca)
        assert httpx.get(ready, verify=trust, trust_env=False).status_code == 200
        with pytest.raises(httpx.TransportError):
            httpx.get(ready.replace("https", "http"), trust_env=False)


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        pytest.param(
            {"listen": {**_PORTS, "tls_certificate": "no.pem", "tls_key": "no.key"}},
            "listen.tls_certificate no.pem cannot be read: No such file or directory",
            id="no certificate",
        ),
        pytest.param(
            {"listen": _PORTS, "access": {"required": True}},
            "make one with `weir keys create NAME --role admin --data",
            id="no administrator",
        ),
    ],
)
def test_a_start_that_makes_no_sense_is_refused(
    tmp_path: Path, settings: Mapping[str, object], words: str
) -> None:
    """One line says what is missing, and nothing is left running."""
    with launched(tmp_path, settings) as started:
        assert started.process.wait(90) == 1
        assert words in started.complained()
        assert started.complained().count("\n") == 1
        assert started.family.wait_gone(15.0) == []
