"""What the detectors fold as matrices is what the formulas give, feature by feature, row by row."""

from __future__ import annotations

from math import comb, erf, exp, sqrt

import numpy as np
import pytest
from numpy.typing import NDArray

from configs.settings import Monitors
from monitors.blocks import SampleBlock
from monitors.panel import Panel
from monitors.profile.build import build_profile
from monitors.profile.reference import NumericProfile
from monitors.stats.uniforms import row_keys, row_uniforms, stream_keys
from registry.card import Card, Feature, Task
from registry.signature import Datatype, Signature, TensorSpec

FEATURES = 5
ROWS = 137
LOCATIONS = (-1.0, -0.5, -0.25, 0.25, 0.5, 1.0)
SPREADS = (0.6, 1.6)
SHIFTS = (-2.0, -0.7, -0.25, 0.25, 0.7, 2.0)
STAKES = (0.03, 0.2)

NAMES = [f"f{number}" for number in range(FEATURES)]
CARD = Card(
    task=Task.OTHER,
    features=tuple(Feature(name=name, input="x", column=at) for at, name in enumerate(NAMES)),
)
SIGNATURE = Signature(
    inputs=(TensorSpec(name="x", datatype=Datatype.FP64, shape=(-1, FEATURES)),),
    outputs=(TensorSpec(name="y", datatype=Datatype.FP64, shape=(-1, 1)),),
)


def ranked(bins: list[int], reference: list[int], uniforms: list[float]) -> list[float]:
    """The randomised rank of each row among the reference and the rows before it, itself too."""
    counts = list(reference)
    p_values = []
    for code, uniform in zip(bins, uniforms, strict=True):
        counts[code] += 1
        p_values.append((sum(counts[:code]) + uniform * counts[code]) / sum(counts))
    return p_values


def normal_score(p: float) -> float:
    """The normal quantile, by bisection of the distribution function."""
    low, high = -9.0, 9.0
    for _ in range(100):
        middle = (low + high) / 2
        low, high = (middle, high) if (1 + erf(middle / sqrt(2))) / 2 < p else (low, middle)
    return (low + high) / 2


def by_score(p: float) -> list[float]:
    """The e-value of each bet on a normal score, as a ratio of densities."""
    z = normal_score(p)
    locations = [exp(t * z - t * t / 2) for t in LOCATIONS]
    return locations + [exp(-(z * z) / 2 * (1 / s**2 - 1)) / s for s in SPREADS]


def by_count(upper: float) -> list[float]:
    """The e-value of each bet on a block's upper tail: shifts of its normal score, and stakes."""
    z = -normal_score(upper)
    shifts = [exp(t * z - t * t / 2) for t in SHIFTS]
    return shifts + [1 - stake + stake * 0.08 * upper**-0.92 for stake in STAKES]


def upper_tails(hits: list[bool], counts: list[int], uniforms: list[float]) -> list[float]:
    """For each block of 50 rows: the chance of more hits, and a random part of that of as many."""
    none, some = counts
    tails = []
    for block, uniform in enumerate(uniforms):
        count = sum(hits[block * 50 : block * 50 + 50])
        none, some = none + 50 - count, some + count
        chances = [comb(some, c) * comb(none, 50 - c) / comb(none + some, 50) for c in range(51)]
        tails.append(sum(chances[count + 1 :]) + uniform * chances[count])
    return tails


def evidence(
    e_values: list[list[float]], weights: list[float], present: list[bool], rows: int = 10
) -> float:
    """log10 of the mixture over starts: R <- (R + weight) e per bet, for each block of some rows.

    Rows are given in the order of the stream; ones that say nothing have an e-value of one.
    """
    wealth = [0.0] * len(weights)
    unspent = 1.0
    said = iter(e_values)
    each = [next(said) if here else [1.0] * len(weights) for here in present]
    for block in range(len(each) // rows):
        left = 0.8 * (100 / (block + 1 + 100)) ** 0.4
        start, unspent = unspent - left, left
        for bet in range(len(weights)):
            won = float(np.prod([row[bet] for row in each[block * rows : (block + 1) * rows]]))
            wealth[bet] = (wealth[bet] + start) * won
    total = unspent + sum(w * stake for w, stake in zip(wealth, weights, strict=True))
    return float(np.log10(total))


def test_signals_are_what_the_formulas_give() -> None:
    """Evidence of drift and of missing values, with gaps, ties and a change, by plain loops."""
    rng = np.random.default_rng(3)
    table = rng.standard_normal((1500, FEATURES))
    table[:, 1] = rng.integers(0, 3, 1500)
    table[rng.random(1500) < 0.05, 2] = np.nan
    columns = {name: table[:, at] for at, name in enumerate(NAMES)}
    profile = build_profile(CARD, SIGNATURE, columns, lambda inputs: {"y": inputs["x"][:, :1]})
    live = rng.standard_normal((ROWS, FEATURES))
    live[:, 1] = rng.integers(0, 3, ROWS)
    live[70:, 3] += 0.8
    live[rng.random(ROWS) < 0.2, 2] = np.nan
    live[5, 4] = np.inf
    ids = np.array([f"{number:032x}" for number in range(ROWS)], dtype="S32")
    numbers = np.zeros(ROWS, dtype=np.int64)

    panel = Panel(CARD, SIGNATURE, profile, Monitors())
    for a, b in ((0, 40), (40, 41), (41, ROWS)):
        inputs = {"x": live[a:b]}
        outputs = {"y": live[a:b, :1]}
        panel.update(
            SampleBlock("m", 1, "stable", "s", 1.0, ids[a:b], numbers[a:b], inputs, outputs)
        )
    found = {(signal.name, signal.subject): signal for signal in panel.signals()}

    assert panel.failures == 0
    keys = row_keys(ids, numbers)
    for at, name in enumerate(NAMES):
        reference = profile.features[name]
        assert isinstance(reference, NumericProfile)
        seen = np.isfinite(live[:, at])

        uniforms = own_uniforms(keys, f"input_drift/{name}")[seen].tolist()
        p_values = ranked(bins_of(live[seen, at], reference), list(reference.counts), uniforms)
        drift = evidence([by_score(p) for p in p_values], [0.8 / 6] * 6 + [0.1] * 2, seen.tolist())
        assert found["input_drift", name].log10_evidence == pytest.approx(drift, abs=1e-9)

        counts = [reference.rows - reference.missing, reference.missing]
        uniforms = own_uniforms(keys, f"missing_values/{name}")[49::50].tolist()
        tails = upper_tails(np.isnan(live[:, at]).tolist(), counts, uniforms)
        gaps = evidence([by_count(t) for t in tails], [1 / 8] * 8, [True] * len(tails), rows=1)
        assert found["missing_values", name].log10_evidence == pytest.approx(gaps, abs=1e-9)


def own_uniforms(keys: NDArray[np.uint64], stream: str) -> NDArray[np.float64]:
    """The uniform numbers that rows draw in one stream."""
    return np.asarray(row_uniforms(keys, stream_keys([stream]))[0])


def bins_of(values: NDArray[np.float64], reference: NumericProfile) -> list[int]:
    """The bins of finite values: below the first edge 0, on it 1, one more per edge passed."""
    first, *others = reference.edges
    return [
        0 if value < first else 1 + (value > first) + sum(value > edge for edge in others)
        for value in values.tolist()
    ]
