"""Rows of a request are explained in the card's terms, within bounds, or refused with a reason."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from configs.errors import BadInput, DeadlineExceeded, Refused
from monitors.contributions.background import Background
from monitors.contributions.explained import (
    ROWS_MAX,
    Explainer,
    Explanation,
    refuse_unexplainable,
    told,
)
from monitors.contributions.wish import Wish
from monitors.profile.reference import ReferenceProfile
from registry.card import Card, Feature, Policy, Score, Task
from registry.records import Version
from registry.signature import Datatype, Signature, TensorSpec
from tests.monitors.why.rows import CARD, SIGNATURE, Tensors, inputs, linear, model, reference

WEIGHTS = (2.0, -1.0, 0.5)
NEVER = 1e9


@pytest.fixture(name="profile", scope="module")
def profile_of_rows() -> ReferenceProfile:
    """A reference of three normal numbers and three towns."""
    return reference(np.random.default_rng(1))


def rows(count: int = 1, seed: int = 2) -> Tensors:
    """Rows of a request."""
    return inputs(np.random.default_rng(seed), count, (1.0, 1.0, 1.0))


def explain(
    profile: ReferenceProfile,
    asked: Tensors,
    run: Callable[[Any], Any] | None = None,
    wish: Wish | None = None,
    card: Card = CARD,
    clock: Callable[[], float] = lambda: 0.0,
) -> Explanation:
    """What is found of rows, on a clock that stands still unless another is given."""
    background = Background(card, SIGNATURE, profile)
    explainer = Explainer(card, background, run or model(linear(*WEIGHTS)), clock)
    return explainer.explain(asked, wish or Wish(), NEVER)


def test_a_linear_score_is_shared_out_as_its_weights_say(profile: ReferenceProfile) -> None:
    """Exactly, against the mean of the rows that were drawn; a town does nothing here."""
    asked = rows(3)
    found = explain(profile, asked)
    drawn = Background(CARD, SIGNATURE, profile).draw(64, 0)["x"]
    assert found.features == ("a", "b", "c", "town")
    for row, x in zip(found.rows, asked["x"], strict=True):
        wanted = np.array(WEIGHTS) * (x - drawn.mean(axis=0))
        assert row.parts.parts == pytest.approx([*wanted, 0.0], abs=1e-9)
        assert row.score == pytest.approx(float(x @ np.array(WEIGHTS)))
        assert row.parts.base + row.parts.parts.sum() == pytest.approx(row.score, abs=1e-12)
        assert row.parts.samples == 64


def test_a_text_is_replaced_too(profile: ReferenceProfile) -> None:
    """By the shares of the reference: of town p, six in ten."""

    def run(asked: Any) -> Tensors:
        return {"y": (asked["town"].reshape(-1) == "p").astype(np.float64)}

    asked = rows()
    asked["town"][:] = "p"
    (row,) = explain(profile, asked, run, Wish(samples=1024)).rows
    assert row.parts.parts[3] == pytest.approx(0.4, abs=0.06)
    assert row.parts.parts[:3] == pytest.approx([0.0, 0.0, 0.0])


def test_features_that_are_not_kept_are_held(profile: ReferenceProfile) -> None:
    """They keep the row's own value in every run, get no part, and are named with the reason."""
    features = (
        CARD.features[0],
        CARD.features[1].model_copy(update={"policy": Policy.DROP}),
        *CARD.features[2:],
    )
    card = CARD.model_copy(update={"features": features})
    seen: list[float] = []

    def run(asked: Any) -> Any:
        seen.extend(asked["x"][:, 1].tolist())
        return model(linear(*WEIGHTS))(asked)

    asked = rows()
    found = explain(profile, asked, run, card=card)
    assert found.features == ("a", "c", "town")
    assert [each.feature for each in found.held] == ["b"]
    assert "drop" in found.held[0].reason
    assert set(seen) == {float(asked["x"][0, 1])}
    (row,) = found.rows
    assert row.parts.base + row.parts.parts.sum() == pytest.approx(row.score, abs=1e-12)


def test_a_profile_that_lacks_a_feature_is_refused(profile: ReferenceProfile) -> None:
    """By the feature's name."""
    lacking = profile.model_copy(
        update={"features": {name: profile.features[name] for name in ("a", "c", "town")}}
    )
    with pytest.raises(Refused, match="does not know feature 'b'"):
        Background(CARD, SIGNATURE, lacking)


def test_nothing_to_replace_is_refused(profile: ReferenceProfile) -> None:
    """An explanation of no feature would be none."""
    dropped = tuple(each.model_copy(update={"policy": Policy.DROP}) for each in CARD.features)
    with pytest.raises(Refused, match="no feature of this version"):
        Background(CARD.model_copy(update={"features": dropped}), SIGNATURE, profile)


def test_a_budget_of_time_ends_a_row_early(profile: ReferenceProfile) -> None:
    """The next batch is not begun when it would end too late; each row has a budget of its own."""
    now = [0.0]

    def run(asked: Any) -> Any:
        now[0] += 0.001 * len(asked["x"])
        return model(linear(*WEIGHTS))(asked)

    wish = Wish(samples=1024, budget_s=1.0)
    found = explain(profile, rows(2), run, wish, clock=lambda: now[0])
    assert now[0] <= 2.0
    for row in found.rows:
        assert 2 <= row.parts.samples < 1024
    assert found.rows[0].parts.samples == found.rows[1].parts.samples


def test_a_deadline_ends_all_of_it(profile: ReferenceProfile) -> None:
    """Also while the first batch is on its way."""
    now = [0.0]

    def run(asked: Any) -> Any:
        now[0] += 1.0
        return model(linear(*WEIGHTS))(asked)

    explainer = Explainer(CARD, Background(CARD, SIGNATURE, profile), run, lambda: now[0])
    with pytest.raises(DeadlineExceeded):
        explainer.explain(rows(), Wish(samples=1024, budget_s=100.0), 3.0)
    assert now[0] <= 4.0


def test_the_rows_of_a_background_are_the_first_of_a_larger_one(profile: ReferenceProfile) -> None:
    """And another seed draws others."""
    background = Background(CARD, SIGNATURE, profile)
    few, many, other = (background.draw(*each) for each in ((8, 3), (64, 3), (8, 4)))
    assert (few["x"] == many["x"][:8]).all()
    assert (few["town"] == many["town"][:8]).all()
    assert (few["x"] != other["x"]).any()


CLASSES = CARD.model_copy(
    update={"task": Task.MULTICLASS, "decision": None, "score": Score(output="p")}
)


def three_classes(asked: Any) -> Tensors:
    """A score of three columns."""
    return {"p": np.asarray(asked["x"] @ np.array([[1.0, 0, 0], [0, 2.0, 0], [0, 0, 3.0]]))}


def test_of_several_columns_the_largest_is_explained(profile: ReferenceProfile) -> None:
    """Or the one that is asked for."""
    asked = rows()
    asked["x"][:] = [[1.0, 1.0, 1.0]]
    (row,) = explain(profile, asked, three_classes, card=CLASSES).rows
    assert (row.column, row.score) == (2, 3.0)
    (row,) = explain(profile, asked, three_classes, Wish(column=1), CLASSES).rows
    assert (row.column, row.score) == (1, 2.0)
    assert row.parts.parts[[0, 2, 3]] == pytest.approx([0.0, 0.0, 0.0])
    with pytest.raises(BadInput, match="no column 3, only 3"):
        explain(profile, asked, three_classes, Wish(column=3), CLASSES)


def test_a_column_is_asked_for_only_where_there_are_several(profile: ReferenceProfile) -> None:
    """Else the card has chosen."""
    with pytest.raises(BadInput, match="several columns"):
        explain(profile, rows(), wish=Wish(column=0))


@pytest.mark.parametrize("fails_at", [0, 1])
def test_a_score_that_is_no_number_has_no_parts(profile: ReferenceProfile, fails_at: int) -> None:
    """Neither that of the row, nor one on the way."""
    runs: list[int] = []

    def run(asked: Any) -> Any:
        runs.append(1)
        found = model(linear(*WEIGHTS))(asked)
        if len(runs) > fails_at:
            found["y"][0] = np.nan
        return found

    with pytest.raises(Refused, match="no parts"):
        explain(profile, rows(), run)


def test_a_column_that_is_not_there_is_refused(profile: ReferenceProfile) -> None:
    """A model may take any number of columns."""
    asked = rows()
    asked["x"] = asked["x"][:, :2]
    with pytest.raises(Refused, match="no column 2"):
        explain(profile, asked)


def test_what_is_told_adds_up(profile: ReferenceProfile) -> None:
    """In the words of the API, with the runs that it took."""
    said: Any = told(explain(profile, rows(2)), Wish(seed=7))
    assert (len(said["explanations"]), said["held"], said["seed"]) == (2, [], 7)
    for row in said["explanations"]:
        assert "column" not in row
        assert row["model_runs"] == 64 * 7 + 1
        whole = row["base_value"] + sum(each["value"] for each in row["contributions"])
        assert whole == pytest.approx(row["prediction"], abs=1e-12)
        assert [each["feature"] for each in row["contributions"]] == ["a", "b", "c", "town"]


VERSION = Version("m", 3, "sha256:", SIGNATURE, CARD, "sha256:", 1, "ada", "")
ONE_ROW = Signature(
    inputs=(TensorSpec(name="x", datatype=Datatype.FP64, shape=(1, 3)),), outputs=SIGNATURE.outputs
)


@pytest.mark.parametrize(
    ("version", "said"),
    [
        (replace(VERSION, profile=None), "version 3 of m has no reference"),
        (replace(VERSION, card=CARD.model_copy(update={"score": None})), "names no score"),
        (replace(VERSION, signature=ONE_ROW), "one row at a time"),
    ],
)
def test_what_cannot_be_explained_is_refused(version: Version, said: str) -> None:
    """With what it lacks."""
    with pytest.raises(Refused, match=said):
        refuse_unexplainable(version, 1)
    refuse_unexplainable(VERSION, 1)


@pytest.mark.parametrize("count", [0, ROWS_MAX + 1])
def test_rows_are_bounded(count: int) -> None:
    """None and too many are refused with how many may come."""
    refuse_unexplainable(VERSION, ROWS_MAX)
    with pytest.raises(BadInput, match=f"1 to {ROWS_MAX} rows"):
        refuse_unexplainable(VERSION, count)


def test_a_feature_of_an_input_that_is_not_there_is_refused(profile: ReferenceProfile) -> None:
    """A card that does not fit its model."""
    features = (*CARD.features[:3], Feature(name="town", input="city"))
    with pytest.raises(Refused, match="does not know feature 'town'"):
        Background(CARD.model_copy(update={"features": features}), SIGNATURE, profile)
