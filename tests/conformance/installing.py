"""The environments of the clients: each its own, from a lock file, made anew when that changes."""

from __future__ import annotations

import hashlib
import shutil
import subprocess
import sys
from pathlib import Path

_LOCKS = Path(__file__).parent / "environments"
_HOME = Path(__file__).parents[2] / ".tools" / "conformance"


def folder_of(name: str) -> Path:
    """The folder with the programs of an environment, which is installed first if it must be."""
    lock = _LOCKS / f"{name}.lock"
    home = _HOME / name
    # Written last, so that an installation that was interrupted is begun anew.
    stamp = home / "installed"
    wanted = hashlib.sha256(lock.read_bytes()).hexdigest()
    if not stamp.exists() or stamp.read_text() != wanted:
        _install(home, lock)
        stamp.write_text(wanted)
    return home / "bin"


def _install(home: Path, lock: Path) -> None:
    shutil.rmtree(home, ignore_errors=True)
    subprocess.run([sys.executable, "-m", "venv", str(home)], check=True)
    quiet = ("--quiet", "--disable-pip-version-check", "--no-input")
    pip = [str(home / "bin" / "python"), "-m", "pip", "install", *quiet]
    subprocess.run([*pip, "--require-hashes", "-r", str(lock)], check=True)


if __name__ == "__main__":
    for each in sys.argv[1:]:
        sys.stdout.write(f"{folder_of(each)}\n")
