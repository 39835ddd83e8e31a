"""How many threads one run of a model may use."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

_LIVE_VERSIONS = 2
"""A model is mostly served by one version, and by two while a new one is tried."""
_WORTH_S = 0.002
"""A run of one row that takes less than this gains less from more threads than they cost."""


def worth_more_than_one(one_row_s: float) -> bool:
    """Whether a model that runs one row in so many seconds on one thread gains from more."""
    return one_row_s >= _WORTH_S


def threads_for(wanted: int | None, cores: int, gateways: int, replicas: int) -> int:
    """The threads of one run: what is `wanted`, else a fair share of the cores that are given.

    A gateway replica keeps a core; the others are shared by the replicas of two versions.
    """
    if wanted is not None:
        return wanted
    return max((cores - gateways) // (_LIVE_VERSIONS * replicas), 1)


def cores_given() -> int:
    """The processors that this process may keep busy: its affinity, and its group's quota."""
    return cores_of(len(os.sched_getaffinity(0)), _quotas())


def cores_of(affinity: int, quotas: Sequence[str]) -> int:
    """The least of an affinity and of quotas as Linux writes them in `cpu.max`; at least one.

    A quota is "MICROSECONDS PERIOD" or "max PERIOD" (Linux, Control Group v2, "CPU Interface
    Files"); what cannot be read limits nothing.
    """
    least = affinity
    for quota in quotas:
        most, _, period = quota.strip().partition(" ")
        if most.isdigit() and period.isdigit() and int(period) > 0:
            least = min(least, int(most) // int(period))
    return max(least, 1)


def _quotas() -> list[str]:
    """The `cpu.max` of this process's control group and of those around it, where there are any."""
    root = Path("/sys/fs/cgroup")
    found = []
    try:
        lines = Path("/proc/self/cgroup").read_text(encoding="ascii").splitlines()
        (mine,) = (line.removeprefix("0::/") for line in lines if line.startswith("0::/"))
        for group in ((root / mine), *(root / mine).parents):
            if not group.is_relative_to(root):
                break
            if (group / "cpu.max").exists():
                found.append((group / "cpu.max").read_text(encoding="ascii"))
    except (OSError, ValueError):
        return found
    return found
