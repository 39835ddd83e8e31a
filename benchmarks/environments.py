"""An environment of its own for each of the other servers: `python -m benchmarks.environments`.

`.tools/peers/NAME` is made from `benchmarks/peers/NAME.txt`, where every version is pinned, and
made anew when that file has changed. Nothing of it touches Weir's own environment.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import time
from collections.abc import Mapping
from pathlib import Path

from benchmarks.processes import BenchmarkError

PEERS = Path(__file__).parent / "peers"
HOME = Path(__file__).parent.parent / ".tools" / "peers"
# Triton's Python backend is linked to Debian's interpreter, and runs with no other's library.
INTERPRETERS = {"triton": "/usr/bin/python3"}
SERVERS = frozenset(
    {"bentoml", "fastapi", "kserve", "litserve", "mlserver", "nvidia-pytriton", "ray", "uvicorn"}
)
_MADE_FROM = "made-from.txt"
QUIET = {
    "BENTOML_DO_NOT_TRACK": "True",
    "DO_NOT_TRACK": "1",
    "NML_DISABLE_USAGE_LOGGING": "1",
    "ORT_DISABLE_TELEMETRY": "1",
    "RAY_USAGE_STATS_ENABLED": "0",
}


def names(pins: Path = PEERS) -> list[str]:
    """All environments that can be made from the files of pinned versions in a folder."""
    return sorted(path.stem for path in pins.glob("*.txt"))


def python(name: str, pins: Path = PEERS) -> Path:
    """The interpreter of an environment; `BenchmarkError` unless it is made and up to date."""
    folder = HOME / name
    pinned = (pins / f"{name}.txt").read_bytes()
    made_from = folder / _MADE_FROM
    if not made_from.exists() or made_from.read_bytes() != pinned:
        message = f"{name} has no environment: python -m benchmarks.environments {name}"
        raise BenchmarkError(message)
    return folder / "bin" / "python"


def variables(extra: Mapping[str, str]) -> dict[str, str]:
    """What a server finds in its environment: nobody's usage reports, and none of our modules."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("PYTHON")}
    return kept | QUIET | {"PYTHONPATH": str(PEERS), "PYTHONDONTWRITEBYTECODE": "1"} | dict(extra)


def versions() -> dict[str, str]:
    """The pinned versions of the servers themselves."""
    found: dict[str, str] = {}
    for name in names():
        for line in (PEERS / f"{name}.txt").read_text(encoding="utf-8").splitlines():
            package, _, version = line.partition("==")
            if package in SERVERS:
                found[package] = version
    return found


def make(name: str, pins: Path = PEERS) -> bool:
    """Make an environment unless it is up to date; gives whether there was something to do."""
    try:
        python(name, pins)
    except BenchmarkError:
        folder, pinned = HOME / name, pins / f"{name}.txt"
        shutil.rmtree(folder, ignore_errors=True)
        interpreter = INTERPRETERS.get(name, sys.executable)
        _run(interpreter, "-m", "venv", "--without-pip", str(folder))
        uv = str(Path(sys.executable).with_name("uv"))
        into = ("--python", str(folder / "bin" / "python"))
        _run(uv, "pip", "install", "--quiet", "--compile-bytecode", *into, "-r", str(pinned))
        shutil.copyfile(pinned, folder / _MADE_FROM)
        return True
    return False


def _run(*command: str) -> None:
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        message = f"{' '.join(command[:4])} ... failed: {(done.stderr or done.stdout).strip()}"
        raise BenchmarkError(message)


def main() -> int:
    """Make the named environments, or all; one that cannot be made does not hold up the others."""
    failed = 0
    for name in sys.argv[1:] or names():
        begin = time.monotonic()
        try:
            made = make(name)
        except (BenchmarkError, OSError) as failure:
            print(f"{name}: cannot be made: {failure}")
            failed += 1
        else:
            print(f"{name}: {f'made in {time.monotonic() - begin:.0f} s' if made else 'is there'}")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
