"""Columns of every kind meet their live tensors, and rows out of order are found to be so."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet
import pytest
from numpy.typing import NDArray

from configs.settings import Monitors
from monitors.blocks import SampleBlock
from monitors.panel import Panel
from monitors.profile.build import build_profile, columns_needed
from monitors.profile.tables import sample
from monitors.signal import Signal, Verdict
from registry.card import Card, Decision, Feature, FeatureType, Score, Task
from registry.signature import DTYPES, Datatype, Signature, TensorSpec
from tests.monitors.samples import CARD, SIGNATURE, block, columns, profile


def live(name: str, values: NDArray[Any]) -> SampleBlock:
    """Rows of one input."""
    rows = len(values)
    return SampleBlock(
        model="m",
        version=1,
        role="stable",
        source="s",
        rate=1.0,
        prediction_ids=np.array([f"{number:032x}" for number in range(rows)], dtype="S32"),
        row_numbers=np.zeros(rows, dtype=np.int64),
        inputs={name: values[:, None]},
        outputs={},
    )


def drift(
    folder: Path, datatype: Datatype, kind: FeatureType, reference: Any, values: NDArray[Any]
) -> Signal:
    """The drift of one feature, whose reference was a Parquet column."""
    path = folder / "r.parquet"
    pa.parquet.write_table(pa.table({"flag": reference}), path)
    card = Card(task=Task.OTHER, features=(Feature(name="flag", input="flag", type=kind),))
    signature = Signature(
        inputs=(TensorSpec(name="flag", datatype=datatype, shape=(-1, 1)),), outputs=()
    )
    whole = build_profile(card, signature, sample(path, columns_needed(card)).columns, lambda _: {})
    panel = Panel(card, signature, whole, Monitors())
    panel.update(live("flag", values.astype(DTYPES[datatype])))
    return next(signal for signal in panel.signals() if signal.name == "input_drift")


@pytest.mark.parametrize("kind", list(FeatureType))
@pytest.mark.parametrize("datatype", [Datatype.BOOL, Datatype.FP32, Datatype.INT64])
@pytest.mark.parametrize("as_text", [False, True], ids=["bool", "0 and 1"])
def test_booleans_meet_however_they_are_written(
    tmp_path: Path, datatype: Datatype, kind: FeatureType, as_text: bool
) -> None:
    """The same share of true is no drift; three times the share is."""
    rng = np.random.default_rng(0)
    flags = rng.random(4000) < 0.2
    reference = flags.astype(np.int8) if as_text else flags
    same = drift(tmp_path, datatype, kind, reference, rng.random(2000) < 0.2)
    assert same.verdict is Verdict.OK, same
    assert abs(same.value or 0.0) < 0.1
    other = drift(tmp_path, datatype, kind, reference, rng.random(2000) < 0.6)
    assert other.verdict is Verdict.ALARM, other


NUMERIC, CATEGORICAL = FeatureType.NUMERIC, FeatureType.CATEGORICAL
ALARM, NOT_ENOUGH = Verdict.ALARM, Verdict.INSUFFICIENT_DATA


@pytest.mark.parametrize(
    ("kind", "reference", "verdict"),
    [
        pytest.param(NUMERIC, np.full(500, 7.0), ALARM, id="constant"),
        pytest.param(NUMERIC, np.full(500, np.nan), NOT_ENOUGH, id="missing"),
        pytest.param(NUMERIC, np.full(500, np.inf), NOT_ENOUGH, id="infinite"),
        pytest.param(NUMERIC, np.array([1.0]), NOT_ENOUGH, id="one-row"),
        pytest.param(CATEGORICAL, np.full(500, 7.0), ALARM, id="one-category"),
        pytest.param(CATEGORICAL, np.full(500, np.nan), NOT_ENOUGH, id="no-category"),
        pytest.param(CATEGORICAL, np.array([1.0]), NOT_ENOUGH, id="one-row-of-a-category"),
        pytest.param(CATEGORICAL, np.arange(500.0), Verdict.OK, id="every-row-another"),
    ],
)
def test_a_dull_reference_gives_a_verdict(
    tmp_path: Path, kind: FeatureType, reference: NDArray[np.float64], verdict: Verdict
) -> None:
    """Numbers that come instead are drift, or there is too little to compare them with."""
    values = np.random.default_rng(0).standard_normal(500)
    signal = drift(tmp_path, Datatype.FP64, kind, reference, values)
    assert signal.verdict is verdict, signal
    assert signal.message


def test_rows_with_swapped_columns_are_drift() -> None:
    """Columns of one tensor have no names on the wire: what tells is where their values are."""
    panel = Panel(CARD, SIGNATURE, profile(np.random.default_rng(0)), Monitors())
    rows = columns(np.random.default_rng(1), 300)
    rows["age"], rows["debt"] = rows["debt"], rows["age"]
    panel.update(block(rows))
    alarms = {s.subject for s in panel.signals() if s.verdict is Verdict.ALARM}
    assert {"age", "debt"} <= alarms


def booleans(share: float, seed: int, rows: int = 2000) -> NDArray[np.bool_]:
    """Truth values of which such a share is true."""
    return np.random.default_rng(seed).random(rows) < share


def watching_booleans(kind: FeatureType) -> Panel:
    """All monitors of a model from one truth value to a score and a decision that are some too."""
    card = Card(
        task=Task.OTHER,
        score=Score(output="score"),
        decision=Decision(output="label"),
        features=(Feature(name="flag", input="flag", type=kind),),
    )
    names = ("score", "label")
    signature = Signature(
        inputs=(TensorSpec(name="flag", datatype=Datatype.BOOL, shape=(-1, 1)),),
        outputs=tuple(TensorSpec(name=n, datatype=Datatype.BOOL, shape=(-1, 1)) for n in names),
    )
    flags = booleans(0.2, 0, 4000)
    whole = build_profile(card, signature, {"flag": flags}, _same_of_booleans)
    return Panel(card, signature, whole, Monitors())


def _same_of_booleans(inputs: dict[str, NDArray[Any]]) -> dict[str, NDArray[Any]]:
    return dict.fromkeys(("score", "label"), inputs["flag"])


@pytest.mark.parametrize("kind", list(FeatureType))
@pytest.mark.parametrize(("share", "verdict"), [(0.2, Verdict.OK), (0.6, Verdict.ALARM)])
def test_truth_values_go_in_and_come_out(kind: FeatureType, share: float, verdict: Verdict) -> None:
    """No monitor fails on them; drift of the input, the score and the decision is seen."""
    panel = watching_booleans(kind)
    rows = live("flag", booleans(share, 1))
    panel.update(replace(rows, outputs=_same_of_booleans(dict(rows.inputs))))
    signals = {(signal.name, signal.subject): signal for signal in panel.signals()}
    assert panel.failures == 0
    assert Verdict.ERROR not in {signal.verdict for signal in signals.values()}
    for key in (
        ("input_drift", "flag"),
        ("prediction_drift", "score"),
        ("prediction_drift", "decision"),
    ):
        assert signals[key].verdict is verdict, signals[key]
    decision = panel.bins("decision", None)
    assert decision is not None
    assert set(decision.labels) == {"false", "true", "(other)", "(unseen)"}
