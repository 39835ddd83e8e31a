"""Load generators: from the PATH, else from `.tools/` (`benchmarks/install-tools`)."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

from benchmarks.processes import BenchmarkError

TOOLS = Path(__file__).parent.parent / ".tools" / "usr"


def find(name: str) -> tuple[str, dict[str, str]]:
    """A command and its environment; `BenchmarkError` if it is in neither place."""
    environment = dict(os.environ)
    on_path = shutil.which(name)
    if on_path is not None:
        return on_path, environment
    own = TOOLS / "bin" / name
    if not own.exists():
        message = f"{name} is not on the PATH: run benchmarks/install-tools, or install it"
        raise BenchmarkError(message)
    libraries = [str(folder) for folder in sorted((TOOLS / "lib").iterdir()) if folder.is_dir()]
    return str(own), environment | {"LD_LIBRARY_PATH": os.pathsep.join(libraries)}
