"""What the figures were taken on: a figure without its machine says little."""

from __future__ import annotations

import os
import platform
from importlib import metadata
from pathlib import Path

PACKAGES = ("ray", "onnxruntime", "fastapi", "uvicorn", "uvloop", "httptools", "orjson")


def describe() -> dict[str, str]:
    """Processor, cores, load at the start, and the versions that matter."""
    facts = {
        "processor": _processor(),
        "cores": str(len(os.sched_getaffinity(0))),
        "load average": f"{os.getloadavg()[0]:.2f}",
        "system": f"{platform.system()} {platform.release()}",
        "Python": platform.python_version(),
    }
    return facts | {name: metadata.version(name) for name in PACKAGES}


def busy() -> bool:
    """Whether others use the machine: more than a quarter of its cores over the last minute."""
    return os.getloadavg()[0] > len(os.sched_getaffinity(0)) / 4


def _processor() -> str:
    for line in Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines():
        name, _, value = line.partition(":")
        if name.strip() == "model name":
            return value.strip()
    return platform.machine()
