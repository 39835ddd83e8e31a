"""Whole rows are watched: how features go together, not only how each of them is distributed."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from configs.settings import Monitors
from monitors.blocks import SampleBlock
from monitors.drift.input import InputDrift
from monitors.drift.rows import RowDrift
from monitors.profile.build import build_profile
from monitors.profile.reference import ReferenceProfile
from monitors.profile.whole_rows import COSINE_UNIT, Projector, squared_discrepancy
from monitors.signal import Signal, Verdict
from registry.card import Card, Feature, Policy, Task
from registry.signature import Datatype, Signature, TensorSpec

FEATURES = 6
NAMES = [f"f{number}" for number in range(FEATURES)]
CARD = Card(
    task=Task.OTHER,
    features=tuple(Feature(name=name, input="x", column=at) for at, name in enumerate(NAMES)),
)
SIGNATURE = Signature(
    inputs=(TensorSpec(name="x", datatype=Datatype.FP64, shape=(-1, FEATURES)),),
    outputs=(TensorSpec(name="y", datatype=Datatype.FP64, shape=(-1, 1)),),
)


def drawn(seed: int, rows: int, correlation: float = 0.9) -> NDArray[np.float64]:
    """Standard normal features, of which the first two go together."""
    x = np.random.default_rng(seed).standard_normal((rows, FEATURES))
    x[:, 1] = correlation * x[:, 0] + np.sqrt(1 - correlation**2) * x[:, 1]
    return x


def profiled(x: NDArray[np.float64], card: Card = CARD) -> ReferenceProfile:
    """The profile of rows."""
    columns = {name: x[:, at] for at, name in enumerate(NAMES)}
    return build_profile(card, SIGNATURE, columns, lambda inputs: {"y": inputs["x"][:, :1]})


def block(x: NDArray[np.float64]) -> SampleBlock:
    """Rows as a live block."""
    ids = np.array([f"{number:032x}" for number in range(len(x))], dtype="S32")
    numbers = np.zeros(len(x), dtype=np.int64)
    return SampleBlock("m", 1, "stable", "s", 1.0, ids, numbers, {"x": x}, {"y": x[:, :1]})


def said(detector: RowDrift, x: NDArray[np.float64]) -> Signal:
    """What is said after the rows."""
    detector.update(block(x))
    (signal,) = detector.signals()
    return signal


def test_a_correlation_that_breaks_is_found_though_no_feature_moves() -> None:
    """Two features that went together no longer do: the rows alarm, and no feature does."""
    reference = profiled(drawn(0, 10_000))
    broken = drawn(1, 1000, correlation=0.0)

    signal = said(RowDrift(CARD, reference, Monitors()), broken)
    alone = InputDrift(CARD, reference, Monitors())
    alone.update(block(broken))

    assert signal.verdict is Verdict.ALARM
    assert signal.subject == "rows"
    assert Verdict.ALARM not in {each.verdict for each in alone.signals()}


def test_clean_rows_do_not_alarm() -> None:
    """40 streams of 1,000 rows at a budget of 20 %: about as many as that alarm, or fewer."""
    reference = profiled(drawn(0, 4000))
    settings = Monitors(alarm_budget=0.2)
    alarms = [
        said(RowDrift(CARD, reference, settings), drawn(100 + seed, 1000)).log10_evidence
        for seed in range(40)
    ]
    assert sum(evidence is not None and evidence >= np.log10(5) for evidence in alarms) <= 15


def test_the_discrepancy_is_that_of_the_kernel() -> None:
    """Over many directions, the squared discrepancy is what a Gaussian kernel gives directly.

    Whitened rows along random directions of length one: k(x, y) = E cos(w (x - y)).
    """
    rng = np.random.default_rng(5)
    x, y = rng.standard_normal((400, 1)), rng.standard_normal((300, 1)) + 1.5
    w, phases = rng.standard_normal(20_000), rng.uniform(0, 2 * np.pi, 20_000)

    def sums(points: NDArray[np.float64]) -> NDArray[np.int64]:
        cosines = np.cos(np.outer(w, points[:, 0]) + phases[:, None])
        return np.asarray(np.rint(cosines.sum(axis=1) * COSINE_UNIT), dtype=np.int64)

    def kernel(a: NDArray[np.float64], b: NDArray[np.float64]) -> NDArray[np.float64]:
        return np.asarray(np.exp(-((a - b.T) ** 2) / 2))

    within = [(kernel(p, p).sum() - len(p)) / (len(p) * (len(p) - 1)) for p in (x, y)]
    unbiased = sum(within) - 2 * kernel(x, y).mean()
    found = squared_discrepancy(sums(x), len(x), sums(y), len(y))
    assert found == pytest.approx(unbiased, abs=0.02)


def test_projections_of_the_reference_have_a_spread_of_one() -> None:
    """Whitened, whatever the scales of the features and however they go together."""
    x = drawn(0, 20_000) * [1, 10, 0.1, 1000, 1, 1] + [0, 5, 0, 0, -3, 0]
    whole = profiled(x).whole_rows
    assert whole is not None
    projections = Projector(whole).project(
        drawn(1, 5000).T * np.array([[1, 10, 0.1, 1000, 1, 1]]).T
        + np.array([[0, 5, 0, 0, -3, 0]]).T
    )
    np.testing.assert_allclose(projections.std(axis=1), 1.0, atol=0.06)
    np.testing.assert_allclose(projections.mean(axis=1), 0.0, atol=0.1)


def test_eight_replicas_add_up_to_one_stream() -> None:
    """Sums of cosines are whole numbers: in any order they come to the same."""
    whole = profiled(drawn(0, 2000)).whole_rows
    assert whole is not None
    projector = Projector(whole)
    x = drawn(3, 1000).T
    single = projector.cosines(projector.project(x))
    parts = [projector.cosines(projector.project(x[:, at::8])) for at in range(8)]
    assert np.array_equal(sum(parts[1:], parts[0]), single)


@pytest.mark.parametrize("value", [np.nan, np.inf, 1e300])
def test_odd_values_stand_at_the_centre_or_at_the_edge(value: float) -> None:
    """A missing or infinite value, or one far outside, neither raises nor spreads."""
    x = drawn(2, 300)
    x[::7, 2] = value
    with np.errstate(over="ignore"):
        signal = said(RowDrift(CARD, profiled(drawn(0, 2000)), Monitors()), x)
    assert signal.value is not None
    assert np.isfinite(signal.value)


def test_features_whose_values_may_not_be_kept_are_left_out() -> None:
    """Of hashed, bucketed and dropped features no moments are in the profile."""
    policies = (Policy.BUCKET, Policy.HASH, Policy.DROP)
    features = tuple(
        each.model_copy(update={"policy": policy})
        for each, policy in zip(CARD.features, policies, strict=False)
    )
    card = CARD.model_copy(update={"features": features + CARD.features[3:]})
    whole = profiled(drawn(0, 500), card).whole_rows
    assert whole is not None
    assert whole.features == ("f3", "f4", "f5")


def test_without_two_features_that_vary_it_says_so() -> None:
    """Constant columns do not describe rows; the signal says what it would take."""
    x = drawn(0, 500)
    x[:, 1:] = 3.0
    reference = profiled(x)
    assert reference.whole_rows is None
    (signal,) = RowDrift(CARD, reference, Monitors()).signals()
    assert signal.verdict is Verdict.INSUFFICIENT_DATA
    assert "two numeric features" in signal.message
