"""Samples of a comparison, as rounds would give them."""

from __future__ import annotations

from benchmarks.compare import Kind, Sample


def sample(
    contestant: str,
    number: int,
    rate: float,
    workload: str = "row-json",
    kind: Kind = "closed",
    processor_us: float = 100.0,
) -> Sample:
    """One sample whose p50 is 1 ms and whose p99 is 2 ms."""
    return Sample(contestant, workload, kind, number, rate, 1e3, 2e3, processor_us, {})
