"""A real Prometheus and its promtool, as Debian packages them."""

from __future__ import annotations

import shutil
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import httpx

from tests.tools.ports import free_port

CHECKOUT = Path(__file__).parents[2]
TOOLS = CHECKOUT / ".tools"


def binary(name: str) -> str:
    """The path of a program that Debian packages; `FileNotFoundError` if there is none."""
    local = TOOLS / "usr" / "bin" / name
    found = str(local) if local.exists() else shutil.which(name)
    if found is None:
        message = f"{name} is missing: run scripts/install-prometheus"
        raise FileNotFoundError(message)
    return found


def promtool(*arguments: str) -> str:
    """What promtool prints; `AssertionError` with its words if it does not succeed."""
    done = subprocess.run(
        [binary("promtool"), *arguments], capture_output=True, text=True, timeout=60, check=False
    )
    output = done.stdout + done.stderr
    assert done.returncode == 0, output
    return output


@dataclass(frozen=True, slots=True)
class Sample:
    """One series of an answer: its labels, with its name under `__name__`, and its value."""

    labels: dict[str, str]
    value: float


@dataclass(frozen=True, slots=True)
class Prometheus:
    """A Prometheus that is running."""

    url: str

    def query(self, promql: str) -> list[Sample]:
        """The answer to an instant query that gives a vector; `ValueError` if it is refused."""
        answer = httpx.post(f"{self.url}/api/v1/query", data={"query": promql}).json()
        if answer["status"] != "success":
            message = f"{answer['error']}: {promql}"
            raise ValueError(message)
        return [
            Sample(series["metric"], float(series["value"][1]))
            for series in answer["data"]["result"]
        ]

    def wait_for(
        self, promql: str, condition: Callable[[list[Sample]], bool] = bool, deadline_s: float = 60
    ) -> list[Sample]:
        """The first answer that meets the condition; `TimeoutError` if none does in time."""
        end = time.monotonic() + deadline_s
        while not condition(answer := self.query(promql)):
            if time.monotonic() > end:
                message = f"no such answer within {deadline_s} s: {promql} gave {answer}"
                raise TimeoutError(message)
            time.sleep(0.1)
        return answer


@contextmanager
def running_prometheus(folder: Path, config: str) -> Iterator[Prometheus]:
    """A Prometheus with this configuration, on a free loopback port, its data in `folder`."""
    (folder / "prometheus.yml").write_text(config)
    port = free_port()
    prometheus = Prometheus(f"http://127.0.0.1:{port}")
    with (folder / "prometheus.log").open("wb") as log:
        process = subprocess.Popen(
            [
                binary("prometheus"),
                f"--config.file={folder / 'prometheus.yml'}",
                f"--storage.tsdb.path={folder / 'data'}",
                f"--web.listen-address=127.0.0.1:{port}",
            ],
            stdout=log,
            stderr=subprocess.STDOUT,
        )
        try:
            wait_until_ready(prometheus.url, process, folder / "prometheus.log")
            yield prometheus
        finally:
            process.terminate()
            process.wait(timeout=60)


def scrape_config(target: str, interval: str = "500ms") -> str:
    """A configuration that scrapes `/metrics` of one `host:port` as the job `weir`."""
    return f"""
scrape_configs:
  - job_name: weir
    scrape_interval: {interval}
    scrape_timeout: {interval}
    static_configs:
      - targets: ["{target}"]
"""


def wait_until_ready(url: str, process: subprocess.Popen[bytes], log: Path) -> None:
    """Wait until a program answers; `RuntimeError` with its log if it does not start."""
    end = time.monotonic() + 60
    while time.monotonic() < end and process.poll() is None:
        try:
            if httpx.get(f"{url}/-/ready").status_code == httpx.codes.OK:
                return
        except httpx.TransportError:
            pass
        time.sleep(0.05)
    message = f"it did not start:\n{log.read_text()}"
    raise RuntimeError(message)
