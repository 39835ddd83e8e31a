"""No request that schemathesis can invent from our OpenAPI documents breaks them, or a gateway."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from serve.control.client import ControlClient
from tests.conformance.installing import folder_of
from tests.conformance.models import all_models, register
from tests.gateway.running import Running, launched, weir

pytestmark = [pytest.mark.conformance, pytest.mark.timeout(3600)]

CONFIG = Path(__file__).with_name("schemathesis.toml")
ENDED_S = 3000
DOCUMENTS = 2
# The one puts new processes in the place of those that answer, the other could end our own key.
DESTRUCTIVE = ("--exclude-path", "/v1/system:replace", "--exclude-path-regex", "/v1/keys/.*revoke")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of the gateway."""
    return tmp_path_factory.mktemp("target")


@pytest.fixture(scope="module")
def key(folder: Path) -> str:
    """A key that may do everything."""
    made = weir("keys", "create", "ada", "--role", "admin", "--data", str(folder / "data"))
    return made.stdout.strip()


@pytest.fixture(scope="module")
def target(folder: Path, key: str) -> Iterator[Running]:
    """A gateway of its own, for its routes will not be what they were; it asks for keys."""
    settings = {"repository": {"control": True}, "access": {"required": True}}
    with launched(folder, settings) as started:
        running = started.wait_ready()
        with ControlClient(running.control, "ada", key) as control:
            models = all_models()
            register(control, {name: models[name] for name in ("simple", "versions")})
        yield running
        assert started.end() == 0, started.complained()
        assert started.family.leftovers() == []


@pytest.mark.parametrize("port", ["http", "control"])
def test_every_answer_is_as_documented(
    target: Running, key: str, port: str, pytestconfig: pytest.Config, tmp_path: Path
) -> None:
    """No 5xx, no answer that its document does not know, and the gateway is live afterwards."""
    wanted = pytestconfig.getoption("--cases") // DOCUMENTS
    url = getattr(target, port)

    report = schemathesis(f"{url}/openapi.json", key, wanted, tmp_path)

    assert report["failures"] == [], report["said"]
    assert report["test_cases"]["errored"] == 0, report["said"]
    assert report["test_cases"]["generated"] >= wanted
    assert httpx.get(f"{target.http}/v2/health/live", trust_env=False).status_code == 200
    assert httpx.get(f"{target.control}/health/live", trust_env=False).status_code == 200


def schemathesis(document: str, key: str, cases: int, folder: Path) -> dict[str, Any]:
    """What came of requests to a document's server; the same number of them is the same requests.

    `said` is what schemathesis printed, which tells how to send each failing request again.
    """
    operations = len(operations_of(document))
    path = folder / "report.json"
    command = [
        str(folder_of("schemathesis") / "schemathesis"),
        "--no-color",
        "--config-file",
        str(CONFIG),
        "run",
        document,
        *DESTRUCTIVE,
        f"--header=Authorization: Bearer {key}",
        "--continue-on-failure",
        "--generation-database=none",
        f"--seed={cases}",
        # Some operations have little to vary; the others make up for them.
        f"--max-examples={2 * cases // operations + 1}",
        "--report=json",
        f"--report-json-path={path}",
    ]
    done = subprocess.run(
        command, cwd=folder, capture_output=True, text=True, timeout=ENDED_S, check=False
    )
    assert path.exists(), done.stdout + done.stderr
    report: dict[str, Any] = json.loads(path.read_text())
    return {**report, "said": done.stdout}


def operations_of(document: str) -> list[str]:
    """The operations in an OpenAPI document."""
    paths = httpx.get(document, trust_env=False).json()["paths"]
    return [f"{method} {path}" for path, item in paths.items() for method in item]
