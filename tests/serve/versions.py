"""Versions, routes and tables made by hand, and hosts that answer for them."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from pathlib import Path

from registry.card import Card, Group, Task
from registry.records import FULL, Arm, Judged, Route, RoutedModel, RouteTable, ShadowArm, Version
from registry.signature import Datatype, Signature, TensorSpec
from serve.models.addresses import folder, inside_path
from serve.models.curve import Curve
from serve.models.frames import Tensors
from serve.models.host import Host, Traced
from serve.models.session import Session
from tests.registry.models import regressor

MODEL = "credit"
Run = Callable[[Tensors], Tensors]
"""A run that cannot be ended early."""
SALT = b"s" * 16
CARD = Card(task=Task.REGRESSION)
GROUPED = Card(task=Task.REGRESSION, groups=(Group(name="sex"),))


def signature(
    datatype: Datatype = Datatype.FP32, inputs: tuple[int, ...] = (-1, 3), outputs: int = 1
) -> Signature:
    """One input `x` and one output `y`, both of one datatype."""
    return Signature(
        inputs=(TensorSpec(name="x", datatype=datatype, shape=inputs),),
        outputs=(TensorSpec(name="y", datatype=datatype, shape=(-1, outputs)),),
    )


REGRESSOR = signature()
"""What `tests.registry.models.regressor` takes and gives."""


def version(number: int, model: str = MODEL, card: Card = CARD) -> Version:
    """A version of the regressor."""
    return Version(model, number, "sha256:", REGRESSOR, card, None, 0, "ada", "2026-01-01")


def table(
    generation: int,
    weights: Mapping[int, int],
    *,
    shadow: ShadowArm | None = None,
    previous: int | None = None,
    card: Card = CARD,
    judged: Judged | None = None,
) -> RouteTable:
    """A table of one model, split by weights in basis points; the first version is stable."""
    arms = tuple(Arm(number, weight) for number, weight in weights.items())
    stable = next(iter(weights))
    route = Route(MODEL, generation, stable, arms, SALT, shadow, previous, judged=judged)
    versions = {number: version(number, card=card) for number in route.live_versions()}
    routed = RoutedModel(route, versions, baseline=route.baseline())
    return RouteTable(generation, {MODEL: routed})


def alone(generation: int, number: int = 1) -> RouteTable:
    """A table in which one version has all of the traffic."""
    return table(generation, {number: FULL})


def run_of(number: int) -> Run:
    """The regressor of a version: the sum of a row plus the version's number, by onnxruntime."""
    return Session(regressor(float(number)).SerializeToString(), REGRESSOR, threads=1).run


def socket_of(run_dir: Path, number: int, replica: str = "a", *, baseline: bool = False) -> Path:
    """Where a replica of a version, or of its baseline, listens."""
    return folder(run_dir, MODEL, number, baseline=baseline) / f"{replica}.sock"


async def host(
    run_dir: Path,
    number: int,
    *,
    run: Run | None = None,
    replica: str = "a",
    traced: Traced = lambda _wires, _seconds: None,
    curve: Curve | None = None,
    inside: bool = False,
    baseline: bool = False,
) -> Host:
    """A host of a version that listens; by default on a socket, and one that runs the regressor."""
    runs = run or run_of(number)
    if inside:
        path = inside_path(folder(run_dir, MODEL, number), os.getpid())
    else:
        path = socket_of(run_dir, number, replica, baseline=baseline)
    opened = Host(number, lambda tensors, _options: runs(tensors), path, traced)
    opened.curve = curve
    await opened.open()
    return opened
