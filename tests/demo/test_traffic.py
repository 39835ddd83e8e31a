"""The traffic client speaks the protocol, keeps its connections, and counts what came back."""

from __future__ import annotations

import itertools
import json
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from typing import Any

import numpy as np
import pytest

from serve.demo.data import FEATURES, GROUP, Parts, arrivals, load
from serve.demo.traffic import CONNECTIONS, request_body, score, send

Seen = list[dict[str, Any]]


@pytest.fixture(scope="module")
def parts() -> Parts:
    """The data as the demo splits them."""
    return load()


@contextmanager
def gateway(status: Callable[[int], int] = lambda _: 200) -> Iterator[tuple[str, Seen]]:
    """A tiny HTTP server: answers each request with 0.9, and writes down what it was asked."""
    seen: Seen = []
    numbers = itertools.count(1)

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        disable_nagle_algorithm = True

        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            seen.append(
                {
                    "path": self.path,
                    "key": self.headers["Weir-Key"],
                    "body": json.loads(body),
                    "peer": self.client_address,
                }
            )
            outputs = [
                {"name": "probabilities", "data": [0.1, 0.9]},
                {"name": "label", "data": [1]},
            ]
            answer = json.dumps({"outputs": outputs}).encode()
            self.send_response(status(next(numbers)))
            canary = self.headers["Weir-Key"].endswith("7")
            self.send_header("Weir-Version", "2" if canary else "1")
            self.send_header("Weir-Arm", "canary" if canary else "stable")
            self.send_header("Content-Length", str(len(answer)))
            self.end_headers()
            self.wfile.write(answer)

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002
            """Say nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}", seen
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def test_a_request_is_open_inference_protocol(parts: Parts) -> None:
    """The body holds the feature matrix as FP32 and race as an extra input of BYTES."""
    arrival = next(arrivals(parts.stream, seed=1))
    inputs = {tensor["name"]: tensor for tensor in json.loads(request_body(arrival))["inputs"]}
    assert set(inputs) == {"features", GROUP}
    assert inputs["features"]["datatype"] == "FP32"
    assert inputs["features"]["shape"] == [1, len(FEATURES)]
    np.testing.assert_array_equal(
        np.array(inputs["features"]["data"], dtype=np.float32), arrival.features
    )
    assert inputs[GROUP] == {
        "name": GROUP,
        "datatype": "BYTES",
        "shape": [1],
        "data": [arrival.race],
    }


def test_the_score_is_the_second_probability() -> None:
    """The score is found by the output's name, whatever the order of the outputs."""
    answer = {
        "outputs": [{"name": "label", "data": [1]}, {"name": "probabilities", "data": [0, 1]}]
    }
    assert score(json.dumps(answer).encode()) == 1.0


async def test_everybody_is_sent_and_counted(parts: Parts) -> None:
    """All arrivals reach the server once, over a few kept connections."""
    waiting = list(itertools.islice(arrivals(parts.stream, seed=1), 300))
    with gateway() as (url, seen):
        report = await send(url, "credit", iter(waiting), rate=5000.0)
    assert sorted(request["key"] for request in seen) == sorted(a.key for a in waiting)
    assert {request["path"] for request in seen} == {"/v2/models/credit/infer"}
    assert len({request["peer"] for request in seen}) <= CONNECTIONS
    assert (report.sent, report.answered, report.failed) == (300, 300, 0)
    assert report.approval_share == 1.0
    assert sum(report.rows_by_race.values()) == 300
    assert report.approvals_by_race == report.rows_by_race
    assert report.latency_ms_p50 is not None
    assert report.latency_ms_p99 is not None
    assert 0 < report.latency_ms_p50 <= report.latency_ms_p99


async def test_answers_are_counted_by_version_arm_and_key(parts: Parts) -> None:
    """Counts by version and arm are those of the response headers; keys count once."""
    waiting = list(itertools.islice(arrivals(parts.stream, seed=2), 200))
    with gateway() as (url, _):
        report = await send(url, "credit", iter(waiting), rate=5000.0)
    canary = [a.key for a in waiting if a.key.endswith("7")]
    assert report.by_version == {"1": 200 - len(canary), "2": len(canary)}
    assert report.by_arm == {"stable": 200 - len(canary), "canary": len(canary)}
    assert report.keys == len({a.key for a in waiting})
    assert report.keys_by_version["2"] == len(set(canary))
    assert report.keys_that_met_two_versions == 0


async def test_a_failed_request_is_counted_not_hidden(parts: Parts) -> None:
    """Answers other than 200 are failures by their status, and never approvals."""
    with gateway(status=lambda number: 503 if number % 10 == 0 else 200) as (url, _):
        report = await send(
            url, "credit", itertools.islice(arrivals(parts.stream, seed=1), 100), rate=5000.0
        )
    assert (report.sent, report.answered, report.failed) == (100, 90, 10)
    assert report.failures == {"503": 10}


async def test_nobody_listening_is_a_failure_of_every_request(parts: Parts) -> None:
    """Where nothing listens, every request is counted as failed and the report is still made."""
    with gateway() as (url, _):
        pass
    report = await send(
        url, "credit", itertools.islice(arrivals(parts.stream, seed=1), 20), rate=5000.0
    )
    assert (report.answered, report.failed) == (0, 20)
    assert report.approval_share is None
    assert report.latency_ms_p50 is None


async def test_the_rate_is_kept(parts: Parts) -> None:
    """No more than the asked rate leaves: 100 rows at 200 a second take half a second."""
    with gateway() as (url, _):
        report = await send(
            url, "credit", itertools.islice(arrivals(parts.stream, seed=1), 100), rate=200.0
        )
    assert report.seconds >= 0.49


def test_it_runs_as_a_process_of_its_own() -> None:
    """The client process prints one JSON report and exits 0, or 1 when a request failed."""
    command = [sys.executable, "-m", "serve.demo.traffic", "--rows", "40", "--rate", "1000"]
    with gateway(status=lambda number: 200 if number <= 40 else 500) as (url, seen):
        good = subprocess.run(
            [*command, "--url", url, "--drift"], capture_output=True, check=False, timeout=120
        )
        bad = subprocess.run(
            [*command, "--url", url], capture_output=True, check=False, timeout=120
        )
    assert good.returncode == 0, good.stderr
    assert json.loads(good.stdout)["answered"] == 40
    assert bad.returncode == 1
    assert json.loads(bad.stdout)["failures"] == {"500": 40}
    position = FEATURES.index("obligation_ratio")
    drifted, plain = (
        np.mean([request["body"]["inputs"][0]["data"][position] for request in half])
        for half in (seen[:40], seen[40:])
    )
    assert drifted - plain == pytest.approx(6.0, abs=1e-3)
