"""Cards, references and blocks that the monitors' tests share."""

from __future__ import annotations

from itertools import chain
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from monitors.blocks import SampleBlock
from monitors.labels.judged import JudgedBlock
from monitors.profile.build import build_profile
from monitors.profile.reference import ReferenceProfile
from monitors.signal import Signal
from monitors.stats.uniforms import mixed, unit_interval
from registry.card import (
    Band,
    Card,
    Column,
    Decision,
    Fairness,
    Feature,
    FeatureType,
    GapBand,
    Group,
    Interval,
    Label,
    Performance,
    Score,
    Task,
)
from registry.signature import Datatype, Signature, TensorSpec

CARD = Card(
    task=Task.BINARY,
    score=Score(output="p", column=1),
    decision=Decision(threshold=0.5),
    features=(
        Feature(name="age", input="x", column=0),
        Feature(name="debt", input="x", column=1),
        Feature(name="town", input="town", type=FeatureType.CATEGORICAL),
    ),
    groups=(Group(name="sex"),),
)
LABELLED = CARD.model_copy(
    update={
        "label": Label(column="bought"),
        "performance": Performance(
            tolerance={"accuracy": 0.2},
            minimum={"recall": 0.5},
            maximum={"brier": 0.4},
            segments=("sex",),
        ),
    }
)
"""The same version, which awaits labels, and has to be right nearly as often as it was."""

UNCERTAIN = CARD.model_copy(
    update={
        "task": Task.REGRESSION,
        "score": Score(output="p", column=1, quantile=0.6),
        "decision": None,
        "interval": Interval(
            lower=Column(output="p", column=0), upper=Column(output="p", column=1), coverage=0.1
        ),
        "label": Label(type="number", column="bought"),
        "performance": Performance(
            tolerance={"interval_coverage": 0.5}, maximum={"pinball": 0.5}, segments=("sex",)
        ),
    }
)
"""The same outputs, taken for a number between two ends."""

FAIR_CARD = CARD.model_copy(
    update={
        "label": Label(type="boolean"),
        "groups": (
            *CARD.groups,
            Group(
                name="area",
                proxy={
                    "a": {"x": 0.95, "y": 0.05},
                    "b": {"x": 0.1, "y": 0.9},
                    "c": {"x": 0.05, "y": 0.95},
                },
            ),
        ),
        "fairness": Fairness(
            selection_rate=Band(max_gap=0.4, min_ratio=0.4),
            equal_opportunity=Band(max_gap=0.25),
            false_positive_rate=Band(max_gap=0.25),
            false_negative_rate=Band(max_gap=0.25),
            equalised_odds=GapBand(max_gap=0.25),
            predictive_parity=Band(max_gap=0.25, min_ratio=0.5),
            calibration=GapBand(max_gap=0.2),
        ),
    }
)
"""The same with a truth, everything that fairness is measured by, and a proxy of a group."""

SIGNATURE = Signature(
    inputs=(
        TensorSpec(name="x", datatype=Datatype.FP32, shape=(-1, 2)),
        TensorSpec(name="town", datatype=Datatype.BYTES, shape=(-1, 1)),
    ),
    outputs=(TensorSpec(name="p", datatype=Datatype.FP32, shape=(-1, 2)),),
)


def model(inputs: dict[str, NDArray[Any]]) -> dict[str, NDArray[Any]]:
    """A logistic model on the first column of x."""
    with np.errstate(over="ignore"):
        p = 1 / (1 + np.exp(-inputs["x"][:, 0]))
    return {"p": np.stack([1 - p, p], axis=1)}


def columns(rng: np.random.Generator, rows: int, shift: float = 0.0) -> dict[str, NDArray[Any]]:
    """Reference columns: `age` is shifted. `bought` is the truth, as often as the model says."""
    age = rng.standard_normal(rows) + shift
    # Of another source, so that what the other columns hold does not depend on it.
    bought = np.random.default_rng(rows).random(rows) < 1 / (1 + np.exp(-age))
    return {
        "age": age,
        "debt": rng.standard_exponential(rows),
        "town": rng.choice(np.array(["a", "b", "c"], dtype=np.object_), rows, p=[0.6, 0.3, 0.1]),
        "sex": rng.choice(np.array(["f", "m", None], dtype=np.object_), rows),
        "bought": bought,
    }


def profile(rng: np.random.Generator, rows: int = 2000, card: Card = CARD) -> ReferenceProfile:
    """The profile of clean reference rows."""
    return build_profile(card, SIGNATURE, columns(rng, rows), model)


def block(values: dict[str, NDArray[Any]], first: int = 0, role: str = "stable") -> SampleBlock:
    """Columns as a live block; `first` numbers its prediction ids."""
    rows = len(values["age"])
    x = np.stack([values["age"], values["debt"]], axis=1).astype(np.float32)
    inputs = {"x": x, "town": values["town"].reshape(-1, 1)}
    ids = np.array([f"{number:032x}" for number in range(first, first + rows)], dtype="S32")
    return SampleBlock(
        model="m",
        version=1,
        role=role,
        source="s",
        rate=1.0,
        prediction_ids=ids,
        row_numbers=np.zeros(rows, dtype=np.int64),
        inputs=inputs,
        outputs=model(inputs),
        groups={"sex": values["sex"], "area": values["town"]},
        answered=rows,
    )


def part(whole: SampleBlock, start: int, stop: int) -> SampleBlock:
    """The rows from start to stop of a block."""
    cut = slice(start, stop)
    return SampleBlock(
        model=whole.model,
        version=whole.version,
        role=whole.role,
        source=whole.source,
        rate=whole.rate,
        prediction_ids=whole.prediction_ids[cut],
        row_numbers=whole.row_numbers[cut],
        inputs={name: tensor[cut] for name, tensor in whole.inputs.items()},
        outputs={name: tensor[cut] for name, tensor in whole.outputs.items()},
        groups={name: values[cut] for name, values in whole.groups.items()},
        answered=len(whole.prediction_ids[cut]),
    )


def judged(whole: SampleBlock, labels: NDArray[Any] | None = None, sign: int = 1) -> JudgedBlock:
    """The rows of a block with their truth, NaN where it has not come; taken back with -1.

    Without labels the truth is drawn as the score says.
    """
    rows = whole.rows
    scores = whole.outputs["p"][:, 1].astype(np.float64)
    if labels is None:
        labels = unit_interval(mixed(whole.keys())) < scores
    return JudgedBlock(
        model=whole.model,
        version=whole.version,
        role=whole.role,
        keys=whole.keys(),
        scores=scores,
        decisions=np.where(np.isnan(scores), np.nan, (scores >= 0.5).astype(np.float64)),
        labels=labels.astype(np.float64),
        predicted_at=np.full(rows, whole.made_at),
        labelled_at=np.full(rows, whole.made_at),
        signs=np.full(rows, sign, dtype=np.int8),
        corrected=np.zeros(rows, dtype=np.bool_),
        groups=whole.groups,
        ends=whole.outputs["p"].astype(np.float64),
    )


def numbers(signal: Signal) -> tuple[float | None, ...]:
    """What a signal measured."""
    familiar = ((d.value, d.lower, d.upper, d.p_value) for d in signal.distances)
    effect = (signal.value, signal.lower, signal.upper, signal.log10_evidence)
    return (*effect, *chain.from_iterable(familiar))


def close(first: tuple[Signal, ...], second: tuple[Signal, ...]) -> bool:
    """Equal but for rounding in the ninth digit."""
    return len(first) == len(second) and all(
        (a.family, a.name, a.subject, a.verdict, a.rows, a.message)
        == (b.family, b.name, b.subject, b.verdict, b.rows, b.message)
        and all(
            x == y or x == pytest.approx(y, rel=1e-9, abs=1e-12)
            for x, y in zip(numbers(a), numbers(b), strict=True)
        )
        for a, b in zip(first, second, strict=True)
    )
