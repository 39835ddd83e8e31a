"""ONNX Runtime keeps what it learns to itself."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
ALLOWED = {
    "registry/inference.py",
    # The other servers of the benchmarks; `benchmarks/environments.py` sets the variable for them.
    "benchmarks/peers/common.py",
}


@pytest.mark.parametrize(
    ("module", "leaves"),
    [
        pytest.param("registry.inference", False, id="through-weir"),
        pytest.param("onnxruntime", True, id="by-itself"),
    ],
)
def test_no_identifier_is_left(module: str, leaves: bool, tmp_path: Path) -> None:
    """Imported through Weir it writes no identifier; by itself it does, or this tests nothing."""
    subprocess.run(
        [sys.executable, "-c", f"import {module}"],
        check=True,
        env={"TMPDIR": str(tmp_path), "PYTHONPATH": str(ROOT)},
    )

    assert any(tmp_path.iterdir()) == leaves


def test_only_one_module_imports_it() -> None:
    """No other module imports ONNX Runtime past this one."""
    found = {
        str(path.relative_to(ROOT))
        for room in ("configs", "registry", "monitors", "serve", "benchmarks", "examples")
        for path in (ROOT / room).rglob("*.py")
        if re.search(r"^\s*(import|from) onnxruntime", path.read_text(), re.MULTILINE)
    }

    assert found == ALLOWED
