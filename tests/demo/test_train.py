"""The demo's models are the trained ones, good enough to be worth serving, and repeatable."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import pyarrow.parquet as pq
import pytest
import yaml
from sklearn.metrics import roc_auc_score

import serve.demo.train as training
from configs.errors import Refused
from registry.card import Card
from serve.demo.data import FEATURES, GROUP, LABEL, Parts, load
from serve.demo.train import Trained, area_under_curve, onnx_scores, train


@pytest.fixture(scope="module")
def parts() -> Parts:
    """The data as the demo splits them."""
    return load()


@pytest.fixture(scope="module")
def trained(parts: Parts, tmp_path_factory: pytest.TempPathFactory) -> tuple[Trained, Trained]:
    """Both versions, trained once for all tests."""
    return train(parts, tmp_path_factory.mktemp("models"))


@pytest.mark.parametrize("position", [0, 1])
def test_onnx_answers_as_scikit_learn(
    parts: Parts, trained: tuple[Trained, Trained], position: int
) -> None:
    """The converted model gives 500 unseen rows the scores of a classifier trained again."""
    build = (training.logistic_regression, training.gradient_boosting)[position]
    classifier = build()
    classifier.fit(parts.train.features, parts.train.approved)
    rows = np.concatenate([parts.reference.features, parts.stream.features])[:500]
    scores = onnx_scores(trained[position].model.read_bytes(), rows)
    np.testing.assert_allclose(scores, classifier.predict_proba(rows)[:, 1], atol=1e-5)


@pytest.mark.parametrize("position", [0, 1])
def test_models_rank_unseen_applicants_well(
    parts: Parts, trained: tuple[Trained, Trained], position: int
) -> None:
    """Both rank applicants they never saw far better than chance, and not too well to be true."""
    unseen = parts.stream
    scores = onnx_scores(trained[position].model.read_bytes(), unseen.features)
    assert 0.72 < roc_auc_score(unseen.approved, scores) < 0.92


def test_area_under_curve_is_scikit_learns() -> None:
    """Our area under the curve is the published one, ties included."""
    random = np.random.default_rng(0)
    answers = random.integers(2, size=300)
    scores = (random.integers(10, size=300) + 3 * answers) / 10
    assert area_under_curve(scores, answers) == pytest.approx(roc_auc_score(answers, scores))


@pytest.mark.parametrize("position", [0, 1])
def test_tensors_are_plain(trained: tuple[Trained, Trained], position: int) -> None:
    """One float32 matrix in; label and a probability matrix out, no ZipMap; the checker agrees."""
    model = onnx.load(trained[position].model)
    onnx.checker.check_model(model, full_check=True)
    assert [value.name for value in model.graph.input] == ["features"]
    assert [value.name for value in model.graph.output] == ["label", "probabilities"]
    shape = model.graph.input[0].type.tensor_type.shape.dim
    assert not shape[0].HasField("dim_value")
    assert shape[1].dim_value == len(FEATURES)
    assert "ZipMap" not in {node.op_type for node in model.graph.node}


@pytest.mark.parametrize("position", [0, 1])
def test_cards_read_back(trained: tuple[Trained, Trained], position: int) -> None:
    """The written card is a valid card whose features are the columns, and race is none of them."""
    content = yaml.safe_load(trained[position].card.read_text(encoding="utf-8"))
    card = Card.model_validate(content)
    assert card == training.card()
    assert [(f.name, f.column) for f in card.features] == [(n, i) for i, n in enumerate(FEATURES)]
    assert card.extra_inputs == (GROUP,)


def test_two_valued_features_are_the_categories(parts: Parts) -> None:
    """A feature is declared a category exactly when the data hold only 0 and 1 of it."""
    for position, feature in enumerate(training.card().features):
        two_valued = set(np.unique(parts.train.features[:, position])) <= {0.0, 1.0}
        assert (feature.type == "categorical") == two_valued, feature.name


def test_reference_holds_the_reference_part(parts: Parts, trained: tuple[Trained, Trained]) -> None:
    """The reference file has every feature, the race and the answer, of the reference part."""
    table = pq.read_table(trained[0].reference)
    assert table.column_names == [*FEATURES, GROUP, LABEL]
    features = np.column_stack([table.column(name).to_numpy() for name in FEATURES])
    np.testing.assert_array_equal(features, parts.reference.features)
    assert table.column(GROUP).to_pylist() == parts.reference.race.tolist()


def test_training_again_gives_the_same_scores(
    parts: Parts, trained: tuple[Trained, Trained], tmp_path: Path
) -> None:
    """Whoever runs the demo gets the same two models."""
    for first, second in zip(trained, train(parts, tmp_path), strict=True):
        np.testing.assert_allclose(
            onnx_scores(first.model.read_bytes(), parts.stream.features),
            onnx_scores(second.model.read_bytes(), parts.stream.features),
            atol=1e-6,
        )


def test_a_conversion_that_answers_otherwise_is_refused(
    parts: Parts, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A converted model that is not the trained one never gets as far as a registration."""
    monkeypatch.setattr(training, "onnx_scores", lambda _, features: np.full(len(features), 0.5))
    with pytest.raises(Refused, match="differs"):
        train(parts, tmp_path)
