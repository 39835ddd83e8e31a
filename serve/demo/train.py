"""Train the demo's two models, turn them into ONNX, and write what a registration needs."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Protocol, cast

import numpy as np
import onnx
import pyarrow as pa
import pyarrow.parquet
import yaml
from numpy.typing import NDArray
from skl2onnx import convert_sklearn
from skl2onnx.common.data_types import FloatTensorType
from sklearn.ensemble import GradientBoostingClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from configs.errors import Refused
from registry.card import Card, Decision, Feature, FeatureType, Group, Label, Lineage, Score, Task
from registry.inference import onnxruntime
from serve.demo.data import APPROVE_AT, FEATURES, GROUP, LABEL, SEED, Applicants, Parts, data_name
from serve.demo.slower import slower

AGREEMENT_ROWS = 500
TOLERANCE = 1e-5
"""How far an ONNX score may be from scikit-learn's: one computes in 32 bits, the other in 64."""

_OPSET = {"": 17, "ai.onnx.ml": 3}
_TWO_VALUES = frozenset(
    {
        "schooling",
        "self_employed",
        "cosigner",
        "gift",
        "unverified",
        "bankruptcy",
        "accounts_in_order",
        "several_units",
    }
)


class Classifier(Protocol):
    """**Protocol:** what the demo asks of a scikit-learn classifier."""

    def fit(self, features: NDArray[np.float32], answers: NDArray[np.int64]) -> object:
        """Learn from the rows."""

    def predict_proba(self, features: NDArray[np.float32]) -> NDArray[np.float64]:
        """Each row's probability of each class."""


@dataclass(frozen=True, slots=True)
class Trained:
    """A trained version on disk: what it is, its files, and how well it ranks unseen applicants."""

    kind: str
    model: Path
    card: Path
    reference: Path
    auc: float
    largest_difference: float


def train(parts: Parts, folder: Path) -> tuple[Trained, Trained]:
    """Train version 1 and version 2 and write their files into `folder`.

    Raises `Refused` when a converted model does not answer as the one that was trained.
    """
    folder.mkdir(parents=True, exist_ok=True)
    reference = folder / "reference.parquet"
    write_reference(parts.reference, reference)
    return (
        _train_one(parts, folder, "v1", "logistic regression", logistic_regression),
        _train_one(parts, folder, "v2", "gradient boosting", gradient_boosting),
    )


def delayed(version: Trained, folder: Path) -> Trained:
    """A version that answers as another does, some thirty milliseconds later."""
    path, card_path = folder / "v3.onnx", folder / "v3.card.yaml"
    path.write_bytes(slower(version.model.read_bytes()))
    write_card(card_path)
    return replace(version, kind=f"{version.kind}, with idle work", model=path, card=card_path)


def logistic_regression() -> Classifier:
    """Version 1: scaled features, logistic regression."""
    return cast("Classifier", make_pipeline(StandardScaler(), LogisticRegression(C=0.1)))


def gradient_boosting() -> Classifier:
    """Version 2: sixty shallow trees."""
    return cast(
        "Classifier",
        GradientBoostingClassifier(
            n_estimators=60,
            max_depth=2,
            learning_rate=0.08,
            subsample=0.7,
            min_samples_leaf=15,
            random_state=SEED,
        ),
    )


def to_onnx(classifier: Classifier) -> bytes:
    """One float32 matrix `features` [-1, 17] in, `label` and `probabilities` [-1, 2] out."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        model: onnx.ModelProto = convert_sklearn(
            classifier,
            name="credit",
            initial_types=[("features", FloatTensorType([None, len(FEATURES)]))],
            options={"zipmap": False},
            target_opset=_OPSET,
        )
    return bytes(model.SerializeToString(deterministic=True))


def onnx_scores(model: bytes, features: NDArray[np.float32]) -> NDArray[np.float64]:
    """The probability of approval [n] that the ONNX model gives each row."""
    session = onnxruntime.InferenceSession(model, providers=["CPUExecutionProvider"])
    (probabilities,) = session.run(["probabilities"], {"features": features})
    return np.asarray(probabilities[:, 1], dtype=np.float64)


def area_under_curve(scores: NDArray[np.float64], answers: NDArray[np.int64]) -> float:
    """The chance that an approved applicant scores above a refused one, ties counting half.

    The Mann-Whitney form of the area under the ROC curve (Hanley and McNeil 1982).
    """
    approved, refused = scores[answers == 1], scores[answers == 0]
    above = np.sign(approved[:, None] - refused[None, :])
    return float(np.mean((above + 1.0) / 2.0))


def write_reference(applicants: Applicants, path: Path) -> None:
    """Write applicants as a parquet file: a column per feature, the race, the real answer."""
    columns: dict[str, object] = {
        name: applicants.features[:, position] for position, name in enumerate(FEATURES)
    }
    columns[GROUP] = applicants.race
    columns[LABEL] = applicants.approved
    pa.parquet.write_table(pa.table(columns), path)


def card() -> Card:
    """What both versions declare: the policy, the features, the group that is watched."""
    return Card(
        task=Task.BINARY,
        score=Score(output="probabilities", column=1),
        decision=Decision(threshold=APPROVE_AT),
        features=tuple(
            Feature(
                name=name,
                input="features",
                column=position,
                type=FeatureType.CATEGORICAL if name in _TWO_VALUES else FeatureType.NUMERIC,
            )
            for position, name in enumerate(FEATURES)
        ),
        groups=(Group(name=GROUP, source="extra_input"),),
        label=Label(type="boolean", expected_delay_days=30),
        lineage=Lineage(
            datasets=(data_name(),),
            owner="weir demo",
            intended_use="showing Weir; not for decisions about people",
        ),
    )


def write_card(path: Path) -> None:
    """Write the card as the YAML that `weir register --card` reads."""
    content = card().model_dump(mode="json", exclude_none=True, exclude_defaults=True)
    path.write_text(yaml.safe_dump(content, sort_keys=False), encoding="utf-8")


def _train_one(
    parts: Parts, folder: Path, stem: str, kind: str, build: Callable[[], Classifier]
) -> Trained:
    classifier = build()
    classifier.fit(parts.train.features, parts.train.approved)
    model = to_onnx(classifier)
    difference = _largest_difference(classifier, model, parts.train.features[:AGREEMENT_ROWS])
    if difference > TOLERANCE:
        message = f"{kind}: the ONNX model differs from the trained one by {difference:.2g}"
        raise Refused(message)
    model_path, card_path = folder / f"{stem}.onnx", folder / f"{stem}.card.yaml"
    model_path.write_bytes(model)
    write_card(card_path)
    unseen = parts.reference
    auc = area_under_curve(onnx_scores(model, unseen.features), unseen.approved)
    return Trained(kind, model_path, card_path, folder / "reference.parquet", auc, difference)


def _largest_difference(
    classifier: Classifier, model: bytes, features: NDArray[np.float32]
) -> float:
    trained = classifier.predict_proba(features)[:, 1]
    return float(np.abs(trained - onnx_scores(model, features)).max())
