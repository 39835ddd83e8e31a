"""Weir as it is shipped, its request path compiled: `python -m benchmarks.compiled`.

The installation in `.tools/compiled` is made from a wheel of the sources as they are.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import sys
from pathlib import Path

from benchmarks.processes import BenchmarkError

ROOT = Path(__file__).parent.parent
HOME = ROOT / ".tools" / "compiled"
_PACKAGES = ("configs", "registry", "monitors", "serve")
_BUILD = ("setup.py", "pyproject.toml", "requirements.lock", "requirements-dev.lock")
_MADE_FROM = HOME / "made-from.txt"


def command() -> tuple[str, ...]:
    """How its `weir` is run; `BenchmarkError` unless it was made from the sources as they are."""
    if not _MADE_FROM.exists() or _MADE_FROM.read_text(encoding="utf-8") != _digest():
        message = "Weir is not compiled from these sources: python -m benchmarks.compiled"
        raise BenchmarkError(message)
    return (str(HOME / "bin" / "weir"),)


def make() -> bool:
    """Compile and install unless that is done already; gives whether there was something to do."""
    try:
        command()
    except BenchmarkError:
        shutil.rmtree(HOME, ignore_errors=True)
        digest = _digest()
        _run(sys.executable, "-m", "venv", "--without-pip", str(HOME))
        install = (_beside("uv"), "pip", "install", "--quiet", "--compile-bytecode")
        into = ("--python", str(HOME / "bin" / "python"))
        _run(*install, *into, "--require-hashes", "-r", str(ROOT / "requirements.lock"))
        _run(*install, *into, "--no-deps", "--no-index", str(wheel(HOME / "wheel")))
        _MADE_FROM.write_text(digest, encoding="utf-8")
        return True
    return False


def wheel(folder: Path) -> Path:
    """Build the compiled wheel into a folder; takes a minute and a C compiler."""
    shutil.rmtree(ROOT / "build", ignore_errors=True)  # What lies there would come along.
    build = (sys.executable, "-m", "pip", "wheel", "--quiet", "--disable-pip-version-check")
    alone = ("--no-deps", "--no-build-isolation", "--no-index")
    _run(*build, *alone, "--wheel-dir", str(folder), str(ROOT), variables={"WEIR_COMPILE": "1"})
    (built,) = folder.glob("*.whl")
    return built


def _digest() -> str:
    """What the installation is made from, as one digest."""
    seen = hashlib.sha256(sys.version.encode())
    sources = (path for package in _PACKAGES for path in (ROOT / package).rglob("*.*"))
    kept = (path for path in sources if path.suffix in {".py", ".yaml", ".sql"})
    for path in [*(ROOT / name for name in _BUILD), *sorted(kept)]:
        seen.update(f"{path.relative_to(ROOT)}\0".encode())
        seen.update(path.read_bytes())
    return seen.hexdigest()


def _beside(name: str) -> str:
    return str(Path(sys.executable).with_name(name))


def _run(*line: str, variables: dict[str, str] | None = None) -> None:
    environment = os.environ | (variables or {})
    done = subprocess.run(line, capture_output=True, text=True, check=False, env=environment)
    if done.returncode != 0:
        message = f"{' '.join(line[:4])} ... failed: {(done.stderr or done.stdout).strip()}"
        raise BenchmarkError(message)


def main() -> int:
    """Make it, and say so."""
    try:
        made = make()
    except (BenchmarkError, OSError) as failure:
        print(f"weir cannot be compiled: {failure}")
        return 1
    print(f"weir, compiled: {'made' if made else 'is there'}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
