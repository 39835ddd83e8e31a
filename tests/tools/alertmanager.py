"""A real Alertmanager, as Debian packages it."""

from __future__ import annotations

import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.tools.ports import free_port
from tests.tools.prometheus import TOOLS, binary, wait_until_ready

_CONFIG = """
route:
  receiver: nobody
receivers:
  - name: nobody
"""


_SHARE = TOOLS / "usr" / "share"
_AT_HOME = (
    *("unshare", "--map-root-user", "--mount", "sh", "-ec"),
    'mount -t overlay overlay -o "lowerdir=$0:/usr/share" /usr/share && exec "$@"',
    str(_SHARE),
)
"""Debian's build looks for its templates in one place only: a mount of its own shows them there."""


@dataclass(frozen=True, slots=True)
class Alertmanager:
    """An Alertmanager that is running."""

    url: str

    @property
    def alerts_url(self) -> str:
        """Where alerts are posted."""
        return f"{self.url}/api/v2/alerts"

    def alerts(self) -> list[Any]:
        """The alerts that it takes for standing."""
        return list(httpx.get(self.alerts_url).json())

    def wait_for(self, condition: Callable[[list[Any]], bool], deadline_s: float = 60) -> list[Any]:
        """The first list that meets the condition; `TimeoutError` if none does in time."""
        end = time.monotonic() + deadline_s
        while not condition(alerts := self.alerts()):
            if time.monotonic() > end:
                message = f"no such alerts within {deadline_s} s: {alerts}"
                raise TimeoutError(message)
            time.sleep(0.05)
        return alerts


@contextmanager
def running_alertmanager(folder: Path) -> Iterator[Alertmanager]:
    """An Alertmanager that tells nobody, on a free loopback port, its data in `folder`."""
    (folder / "alertmanager.yml").write_text(_CONFIG)
    alertmanager = Alertmanager(f"http://127.0.0.1:{(port := free_port())}")
    log = folder / "alertmanager.log"
    with log.open("wb") as written:
        process = subprocess.Popen(
            [
                *_command(),
                f"--config.file={folder / 'alertmanager.yml'}",
                f"--storage.path={folder / 'data'}",
                f"--web.listen-address=127.0.0.1:{port}",
                "--cluster.listen-address=",
            ],
            stdout=written,
            stderr=subprocess.STDOUT,
        )
        try:
            wait_until_ready(alertmanager.url, process, log)
            yield alertmanager
        finally:
            process.terminate()
            process.wait(timeout=60)


def _command() -> tuple[str, ...]:
    found = binary("prometheus-alertmanager")
    if not found.startswith(str(TOOLS)):
        return (found,)
    if subprocess.run([*_AT_HOME, "true"], check=False).returncode != 0:
        pytest.skip("Alertmanager is not installed, and this system lets nobody mount its files")
    return (*_AT_HOME, found)
