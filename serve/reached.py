"""What gateway replicas say that they reach: versions, and the baselines of versions."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Baseline:
    """The baseline of a version of a model; unequal to the version itself."""

    model: str
    version: int


Reached = tuple[str, int] | Baseline
"""A version by its model and number, or its baseline."""
