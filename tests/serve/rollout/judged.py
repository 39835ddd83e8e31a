"""A gateway whose route is judged: version 1 is stable, version 2 the candidate."""

from __future__ import annotations

from collections.abc import Mapping

import httpx
import numpy as np

from configs.policy import EVENTS, Metric
from monitors.telemetry import names
from registry.card import Card
from registry.records import FULL, Judged, RouteTable, ShadowArm
from serve.models.frames import Tensors
from serve.rollout.tallies import JudgedArm, Report, Tally, Times
from tests.serve.edge.test_http import INFER, row
from tests.serve.stage import Stage
from tests.serve.versions import CARD, MODEL, table
from tests.serve.waiting import PATIENCE_S

ROLLOUT = "rollout-1"
STABLE, CANDIDATE = 1, 2
ALL_CANDIDATE = {STABLE: 0, CANDIDATE: FULL}
ALL_STABLE = {STABLE: FULL, CANDIDATE: 0}
ALMOST_STABLE = {STABLE: FULL - 1, CANDIDATE: 1}
"""A canary that nobody meets, so that units with a key count."""


def judged(
    generation: int,
    weights: Mapping[int, int],
    *,
    shadow_bp: int = 0,
    baseline_bp: int = 0,
    objective_s: float | None = None,
    rollout: str = ROLLOUT,
    card: Card = CARD,
) -> RouteTable:
    """A table whose one route is judged, split by weights in basis points."""
    shadow = ShadowArm(CANDIDATE, shadow_bp) if shadow_bp else None
    judged_by = Judged(rollout, CANDIDATE, baseline_bp, objective_s)
    return table(generation, weights, shadow=shadow, card=card, judged=judged_by)


def ask(
    served: Stage, key: str | None = None, values: tuple[float, ...] = (1, 2, 3), **headers: str
) -> httpx.Response:
    """One request, with a `Weir-Key` or without."""
    if key is not None:
        headers["weir-key"] = key
    return httpx.post(
        served.url + INFER,
        json=row(*values),
        headers=headers,
        timeout=2 * PATIENCE_S,
        trust_env=False,
    )


def value(reply: httpx.Response) -> object:
    """What the model answered to one row."""
    return reply.json()["outputs"][0]["data"][0]


def who(reply: httpx.Response) -> tuple[str, str]:
    """Which version answered, in which role."""
    return reply.headers["weir-version"], reply.headers["weir-arm"]


def reports(served: Stage) -> tuple[Report, ...]:
    """What the gateway has counted so far."""

    async def counted() -> tuple[Report, ...]:
        return served.gateway.reports()

    return served.on_edge(counted())


def report(served: Stage) -> Report:
    """What it has counted for its one rollout."""
    (one,) = reports(served)
    return one


def tally(served: Stage, arm: JudgedArm, generation: int = 1) -> Tally:
    """What it has counted of an arm in one generation."""
    return report(served).stretches[generation][arm]


def times(served: Stage, arm: JudgedArm) -> Times:
    """How long it has counted that answers of an arm took."""
    return report(served).latency[arm]


def events(**counts: int) -> dict[Metric, int]:
    """Counts by metric, of which those that are not named are 0."""
    return {metric: counts.get(metric.value, 0) for metric in EVENTS}


def durations(served: Stage, version: int, arm: str, error: str = "") -> int:
    """How many outcomes the recorder has of a version in a role."""
    series = (names.INFERENCE_DURATION.name, (MODEL, str(version), arm, error))
    found = served.counts().histograms.get(series)
    return sum(found.buckets) if found else 0


def wrong_shape(tensors: Tensors) -> Tensors:
    """An answer of two columns, where one was promised."""
    return (np.ones((len(tensors[0]), 2), np.float32),)


def not_a_number(tensors: Tensors) -> Tensors:
    """An answer that holds no number."""
    return (np.full((len(tensors[0]), 1), np.nan, np.float32),)


def infinite(tensors: Tensors) -> Tensors:
    """An answer that is beyond all numbers."""
    return (np.full((len(tensors[0]), 1), np.inf, np.float32),)


def wrong_type(tensors: Tensors) -> Tensors:
    """An answer of 64 bits, where 32 were promised."""
    return (np.ones((len(tensors[0]), 1), np.float64),)


def nothing(_tensors: Tensors) -> Tensors:
    """An answer without any output."""
    return ()
