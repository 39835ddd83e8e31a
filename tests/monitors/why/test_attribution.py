"""What drift did to the score, against models whose answer can be worked out by hand."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest

from monitors.profile.reading import Tensors
from monitors.profile.reference import ReferenceProfile
from monitors.why.answer import Attribution, Outcome
from monitors.why.attribution import ROWS_MAX, attribution
from registry.card import Card, Feature
from tests.monitors.why.rows import CARD, NAMES, Score_, inputs, kept, linear, model, reference

WEIGHTS = (2.0, -1.0, 0.0)
SHIFT = (0.5, 1.0, 3.0)


@pytest.fixture(name="profile", scope="module")
def profile_of_rows() -> ReferenceProfile:
    """A reference of rows that have not moved."""
    return reference(np.random.default_rng(1))


def features(names: Sequence[str]) -> list[Feature]:
    """Features of the card by name."""
    return [each for each in CARD.features if each.name in names]


def attributed(
    profile: ReferenceProfile,
    score: Score_,
    names: Sequence[str] = NAMES,
    shift: Sequence[float] = SHIFT,
    seed: int = 2,
    count: int = ROWS_MAX,
) -> Attribution:
    """What the drift of features did to rows that have moved."""
    made = inputs(np.random.default_rng(seed), count, shift)
    return attribution(CARD, profile, kept(made, score), features(names), model(score))


def score_of(found: Attribution) -> Outcome:
    """What was found of the score."""
    return next(each for each in found.outcomes if each.name == "score")


def test_of_a_weighted_sum_each_part_is_weight_times_shift(profile: ReferenceProfile) -> None:
    """And one that the model does not look at has no part, though it moved most."""
    found = attributed(profile, linear(*WEIGHTS))
    parts = {part.feature: part.value for part in score_of(found).parts}
    assert parts == pytest.approx({"a": 1.0, "b": -1.0, "c": 0.0}, abs=0.15)
    assert parts["c"] == 0
    assert (found.rows, found.runs, found.same) == (500, 8, 1.0)


def test_the_parts_add_up_to_the_whole_difference(profile: ReferenceProfile) -> None:
    """Whatever the model does with its features together, and for both outcomes."""
    found = attributed(profile, lambda x, _: np.tanh(x[:, 0] * x[:, 1]) + x[:, 2] ** 2 * 0.1)
    assert [each.name for each in found.outcomes] == ["score", "selected"]
    for outcome in found.outcomes:
        together = sum(part.value for part in outcome.parts)
        assert together == pytest.approx(outcome.now - outcome.without, abs=1e-12)
    assert score_of(found).without == pytest.approx(0.1, abs=0.15)


def test_what_two_features_do_together_is_shared(profile: ReferenceProfile) -> None:
    """A product of two that are one on average, from nothing: half each."""
    found = attributed(profile, lambda x, _: x[:, 0] * x[:, 1], shift=(1.0, 1.0, 0.0))
    parts = [part.value for part in score_of(found).parts]
    assert parts[:2] == pytest.approx([0.5, 0.5], abs=0.15)
    assert parts[2] == 0


def test_what_has_not_moved_has_no_part_to_speak_of(profile: ReferenceProfile) -> None:
    """Rows like those of the reference."""
    found = attributed(profile, linear(*WEIGHTS), shift=(0, 0, 0))
    for part in score_of(found).parts:
        assert part.value == pytest.approx(0.0, abs=0.2)


def test_categories_are_attributed_too(profile: ReferenceProfile) -> None:
    """A town that doubled its share, and is worth one."""
    rows = inputs(np.random.default_rng(3), 500, towns=(0.4, 0.3, 0.3))

    def score(x: np.ndarray, town: np.ndarray) -> np.ndarray:
        return np.asarray(town == "r", dtype=np.float64)

    found = attribution(CARD, profile, kept(rows, score), features(["town", "a"]), model(score))
    parts = {part.feature: part.value for part in score_of(found).parts}
    assert parts == pytest.approx({"a": 0.0, "town": 0.2}, abs=0.05)


def test_intervals_hold_the_truth(profile: ReferenceProfile) -> None:
    """About nineteen times in twenty, over samples of rows."""
    held = 0
    for seed in range(100):
        found = attributed(profile, linear(*WEIGHTS), ["a"], (0.5, 0, 0), seed + 10, 200)
        (part,) = score_of(found).parts
        held += part.lower <= 1.0 <= part.upper
        assert part.lower < part.value < part.upper
    assert held >= 88


def test_eight_features_take_64_runs_at_most() -> None:
    """And no more rows than 500, however many there are."""
    eight = [{"name": f"f{at}", "input": "x", "column": at} for at in range(8)]
    card = Card.model_validate(CARD.model_dump() | {"features": eight})
    rng = np.random.default_rng(4)
    known = reference(rng).features["a"]
    profile = reference(rng).model_copy(update={"features": {f"f{at}": known for at in range(8)}})
    rows = {"x": rng.standard_normal((700, 8)) + 1, "town": np.full((700, 1), "p", dtype=object)}
    asked: list[int] = []

    def run(tensors: Tensors) -> Tensors:
        asked.append(len(tensors["x"]))
        return {"y": np.asarray(tensors["x"].sum(axis=1))}

    found = attribution(card, profile, kept(rows, lambda x, _: x.sum(axis=1)), card.features, run)
    assert len(asked) == found.runs <= 64
    assert set(asked) == {500}
    assert [part.value for part in score_of(found).parts] == pytest.approx([1.0] * 8, abs=0.2)


def test_the_rows_are_left_as_they_were(profile: ReferenceProfile) -> None:
    """They are asked about again."""
    rows = inputs(np.random.default_rng(5), 100, SHIFT)
    before = {name: tensor.copy() for name, tensor in rows.items()}
    attribution(
        CARD, profile, kept(rows, linear(*WEIGHTS)), features(NAMES), model(linear(*WEIGHTS))
    )
    for name, tensor in rows.items():
        assert (tensor == before[name]).all()


def test_another_model_is_noticed(profile: ReferenceProfile) -> None:
    """One that gives other scores than the rows were answered with."""
    rows = inputs(np.random.default_rng(6), 100, SHIFT)
    answered = kept(rows, linear(1.0, 1.0, 1.0))
    found = attribution(CARD, profile, answered, features(["a"]), model(linear(*WEIGHTS)))
    assert found.same == 0.0


def test_a_model_without_numbers_has_no_outcome(profile: ReferenceProfile) -> None:
    """NaN for every row is nothing to be shared out."""
    found = attributed(profile, lambda x, _: np.full(len(x), np.nan), ["a"])
    assert found.outcomes == ()
    assert found.same is None
