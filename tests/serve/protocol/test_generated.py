"""The messages of the gRPC protocol are those that its description says."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

CHECKOUT = Path(__file__).parents[3]
PROTO = "serve/protocol/inference.proto"


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with what `make generate` would write."""
    folder = tmp_path_factory.mktemp("generated")
    command = [sys.executable, "-m", "grpc_tools.protoc", "-I.", PROTO]
    outputs = [f"--python_out={folder}", f"--pyi_out={folder}"]
    subprocess.run([*command, *outputs], cwd=CHECKOUT, check=True)
    return folder


@pytest.mark.parametrize("name", ["inference_pb2.py", "inference_pb2.pyi"])
def test_generated_files_are_up_to_date(made: Path, name: str) -> None:
    """`make generate` has been run after the last change of the description."""
    path = Path(PROTO).with_name(name)

    assert (made / path).read_text() == (CHECKOUT / path).read_text()
