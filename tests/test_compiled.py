"""The compiled package does what the sources do: the request path's own tests, run against it."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from benchmarks.compiled import ROOT, wheel

# Compiling alone takes three minutes on a slow day.
pytestmark = [pytest.mark.slow, pytest.mark.timeout(3600)]

TESTED = (
    "admission",
    "edge",
    "models",
    "protocol",
    "recorder",
    "rollout/test_counting.py",
    "rollout/test_fallback.py",
    "test_gateway.py",
    "test_prediction.py",
    "test_router.py",
    "test_shadow.py",
    "test_traces.py",
    "test_wanted_outputs.py",
)
# What compares generated files with what they are generated from.
SOURCES = ("--ignore", "tests/serve/protocol/test_generated.py")


@pytest.fixture(scope="module")
def compiled(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with what the compiled wheel installs, and the tests beside it."""
    if shutil.which("cc") is None:
        pytest.skip("nothing can be compiled: there is no C compiler (cc)")
    folder = tmp_path_factory.mktemp("compiled")
    with zipfile.ZipFile(wheel(folder / "wheel")) as built:
        built.extractall(folder / "site")
    for name in ("tests", "benchmarks", "examples"):
        shutil.copytree(ROOT / name, folder / "site" / name)
    shutil.copy(ROOT / "pyproject.toml", folder / "site")
    return folder / "site"


def _python(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run Python where the compiled modules are found before the sources."""
    environment = os.environ | {"PYTHONPATH": str(folder)}
    line = [sys.executable, *arguments]
    return subprocess.run(
        line, cwd=folder, env=environment, capture_output=True, text=True, check=False
    )


def test_a_compiled_gateway_says_that_it_is(compiled: Path) -> None:
    """`weir --version` tells which kind runs."""
    said = _python(compiled, "-m", "serve.cli.main", "--version")
    assert said.stdout.strip().endswith("(compiled)"), said.stderr


def test_the_request_path_passes_its_tests_compiled(compiled: Path) -> None:
    """Whatever is promised of the sources is true of the wheel."""
    tests = [f"tests/serve/{name}" for name in TESTED]
    marks = "not gateway and not deploy and not hostile and not slow"
    ran = _python(
        compiled, "-m", "pytest", "-q", "-m", marks, "-p", "no:cacheprovider", *SOURCES, *tests
    )
    assert ran.returncode == 0, ran.stdout[-8000:]
