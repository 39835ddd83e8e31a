"""Cards, references, rows and models for tests of why an alarm was raised."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from monitors.profile.build import build_profile
from monitors.profile.reference import ReferenceProfile
from monitors.stats.uniforms import mixed
from monitors.why.kept_rows import KeptRows
from registry.card import Card, Decision, Feature, FeatureType, Score, Task
from registry.signature import Datatype, Signature, TensorSpec

NAMES = ("a", "b", "c")
CARD = Card(
    task=Task.BINARY,
    score=Score(output="y"),
    decision=Decision(threshold=1.0),
    features=(
        *(Feature(name=name, input="x", column=column) for column, name in enumerate(NAMES)),
        Feature(name="town", input="town", type=FeatureType.CATEGORICAL),
    ),
)
SIGNATURE = Signature(
    inputs=(
        TensorSpec(name="x", datatype=Datatype.FP64, shape=(-1, 3)),
        TensorSpec(name="town", datatype=Datatype.BYTES, shape=(-1, 1)),
    ),
    outputs=(TensorSpec(name="y", datatype=Datatype.FP64, shape=(-1,)),),
)
Tensors = dict[str, NDArray[Any]]
Score_ = Callable[[NDArray[np.float64], NDArray[np.object_]], NDArray[np.float64]]


def linear(*weights: float) -> Score_:
    """A score that is a weighted sum of the numbers."""
    return lambda x, _: x @ np.array(weights)


def model(score: Score_) -> Callable[[Any], Tensors]:
    """A model of a score of numbers and towns."""
    return lambda inputs: {"y": score(inputs["x"], inputs["town"].reshape(-1))}


def inputs(
    rng: np.random.Generator,
    count: int,
    shift: Sequence[float] = (0.0, 0.0, 0.0),
    towns: Sequence[float] = (0.6, 0.3, 0.1),
) -> Tensors:
    """Rows of three normal numbers and a town."""
    names = np.array(["p", "q", "r"], dtype=np.object_)
    return {
        "x": rng.standard_normal((count, 3)) + np.array(shift),
        "town": rng.choice(names, count, p=list(towns)).reshape(-1, 1),
    }


def reference(rng: np.random.Generator, count: int = 20_000) -> ReferenceProfile:
    """The profile of rows that have not moved."""
    made = inputs(rng, count)
    columns: Tensors = {name: made["x"][:, at] for at, name in enumerate(NAMES)}
    columns["town"] = made["town"].reshape(-1)
    return build_profile(CARD, SIGNATURE, columns, model(linear(1.0, 0.0, 0.0)))


def kept(made: Tensors, score: Score_ | None = None) -> KeptRows:
    """Rows as they are kept, with a score or without any."""
    count = len(made["x"])
    answered = np.full(count, np.nan)
    if score is not None:
        answered = np.asarray(model(score)(made)["y"])
    selected = np.where(np.isnan(answered), np.nan, (answered >= 1.0).astype(np.float64))
    ranks = mixed(np.arange(count, dtype=np.uint64))
    return KeptRows(ranks, np.zeros(count, dtype=np.int64), answered, selected, made)
