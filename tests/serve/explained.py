"""Versions of the regressor that can be explained: stored with a reference of three features."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
from onnx import ModelProto

from monitors.profile.build import build_profile
from registry.artifacts import Artifacts
from registry.card import Card, Feature, Score, Task
from registry.records import FULL, RoutedModel, RouteTable, Version
from tests.registry.models import regressor
from tests.serve.versions import MODEL, REGRESSOR, table, version

FEATURES = ("income", "debt", "age")
MEANS = (5.0, -1.0, 0.0)
CARD = Card(
    task=Task.REGRESSION,
    score=Score(output="y"),
    features=tuple(
        Feature(name=name, input="x", column=column) for column, name in enumerate(FEATURES)
    ),
)


def stored(folder: Path, model: ModelProto | None = None, number: int = 1) -> Version:
    """A version of a model with a reference around `MEANS`, its files in a folder."""
    artifacts = Artifacts(folder)
    rng = np.random.default_rng(1)
    columns = {
        name: rng.normal(mean, 1.0, 4000).astype(np.float32)
        for name, mean in zip(FEATURES, MEANS, strict=True)
    }
    profile = build_profile(
        CARD, REGRESSOR, columns, lambda inputs: {"y": inputs["x"].sum(axis=1, keepdims=True)}
    )
    made = regressor(float(number)) if model is None else model
    return replace(
        version(number, card=CARD),
        digest=artifacts.put(made.SerializeToString()),
        profile=artifacts.put(profile.to_json()),
    )


def routed(made: Version) -> RouteTable:
    """A table in which a version has all of the traffic."""
    route = table(1, {made.number: FULL}).models[MODEL].route
    return RouteTable(1, {MODEL: RoutedModel(route, {made.number: made})}, {MODEL: (1, 2)})
