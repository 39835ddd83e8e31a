"""A real gateway with TLS, and one that nobody could ever use."""

from __future__ import annotations

import ssl
from collections.abc import Mapping
from pathlib import Path

import httpx
import pytest

from serve.control.client import ControlClient
from tests.gateway.running import launched
from tests.security.certificates import certified

pytestmark = pytest.mark.gateway
_PORTS = {"http_port": 0, "grpc_port": 0, "control_port": 0}


def test_both_ports_speak_tls(tmp_path: Path) -> None:
    """With a certificate, `weir up` is ready, prints https addresses, and they answer."""
    files = certified(tmp_path / "tls")
    listen = {**_PORTS, "tls_certificate": str(files.certificate), "tls_key": str(files.key)}

    with launched(tmp_path, {"listen": listen}) as started:
        running = started.wait_ready()

        assert running.http.startswith("https://127.0.0.1:")
        with ControlClient(running.control, "ada", ca=files.ca) as control:
            assert control.health().status == "ready"
        ready = f"{running.http}/v2/health/ready"
        trust = ssl.create_default_context(cafile=files.ca)
        assert httpx.get(ready, verify=trust, trust_env=False).status_code == 200
        with pytest.raises(httpx.TransportError):
            httpx.get(ready.replace("https", "http"), trust_env=False)
        assert started.end() == 0
        assert started.family.leftovers() == []


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
        assert started.process.wait(60) == 1
        assert words in started.complained()
        assert started.complained().count("\n") == 1
        assert started.family.leftovers() == []
