"""What the figures were taken on: a figure without its machine says little."""

from __future__ import annotations

import os
import platform
from importlib import metadata
from pathlib import Path

PACKAGES = ("ray", "onnxruntime", "uvloop", "httptools", "orjson")


def describe() -> dict[str, str]:
    """Processor, cores, load at the start, and the versions that matter to Weir."""
    facts = {
        "processor": _processor(),
        "cores": str(len(os.sched_getaffinity(0))),
        "virtual": "yes" if _virtual() else "no",
        "load average": f"{os.getloadavg()[0]:.2f}",
        "system": f"{platform.system()} {platform.release()}",
        "Python": platform.python_version(),
    }
    return facts | {name: metadata.version(name) for name in PACKAGES}


def busy() -> bool:
    """Whether others use the machine: more than a quarter of its cores over the last minute."""
    return os.getloadavg()[0] > len(os.sched_getaffinity(0)) / 4


def _processor() -> str:
    return _facts().get("model name", platform.machine())


def _virtual() -> bool:
    return "hypervisor" in _facts().get("flags", "").split()


def _facts() -> dict[str, str]:
    lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    pairs = (line.partition(":") for line in lines)
    return {name.strip(): value.strip() for name, _, value in pairs}
