"""A run with a single failure is no figure."""

from __future__ import annotations

import pytest

from benchmarks import h2load, wrk
from benchmarks.processes import BenchmarkError

WRK = (
    b'wrk prints this first\n{"requests": 200, "seconds": 2.0, "p50_us": 10, "p99_us": 20, '
    b'"connect": 0, "read": 0, "write": 0, "timeout": %d, "status": %d}\n'
)
H2LOAD = (
    "finished in 2.00s, 50.00 req/s, 5KB/s\n"
    "requests: 100 total, 104 started, 100 done, {} succeeded, {} failed, 0 errored, 0 timeout\n"
    "traffic: 11.72KB (12000) total, 2.73KB (2800) headers (space savings 80%), "
    "2.44KB ({}) data\n"
)


def test_wrk_is_read() -> None:
    """Throughput is requests over the seconds that they really took."""
    load = wrk.read(WRK % (0, 0))
    assert (load.requests_per_s, load.p50_us, load.p99_us) == (100.0, 10, 20)


@pytest.mark.parametrize(("timeouts", "statuses"), [(1, 0), (0, 1)])
def test_one_failed_request_fails_a_run_of_wrk(timeouts: int, statuses: int) -> None:
    """Whatever kind of failure it is."""
    with pytest.raises(BenchmarkError, match="failed requests"):
        wrk.read(WRK % (timeouts, statuses))


def test_h2load_is_read() -> None:
    """Its percentiles come from its log, one latency a call."""
    load = h2load.read(H2LOAD.format(100, 0, 2500), list(range(101)), 2, 20)
    assert (load.requests_per_s, load.p50_us, load.p99_us) == (50.0, 50.0, 99.0)


@pytest.mark.parametrize(
    ("output", "says"),
    [
        pytest.param(H2LOAD.format(99, 1, 2500), "1 failed", id="http"),
        pytest.param(H2LOAD.format(100, 0, 1900), "some have failed", id="grpc"),
        pytest.param("nothing to read", "says nothing", id="silence"),
    ],
)
def test_one_failed_call_fails_a_run_of_h2load(output: str, says: str) -> None:
    """A call that fails with a gRPC status has HTTP status 200, and no body."""
    with pytest.raises(BenchmarkError, match=says):
        h2load.read(output, [1] * 100, 2, 20)
