"""Rows find their strata, in the reference as live, and a profile holds what it counted in each."""

from __future__ import annotations

import json
import time
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from configs.errors import Refused
from monitors.profile.build import build_profile, columns_needed
from monitors.profile.learned import Learner
from monitors.profile.reference import CategoricalProfile, ReferenceProfile, bin_counts
from monitors.profile.strata import hours_of_week, stratifier
from monitors.profile.tables import sample
from monitors.profile.times import UNKNOWN, minutes_of
from registry.card import Card, Policy, Strata
from tests.monitors.samples import CARD, SIGNATURE, block, columns, model

HOURLY = CARD.model_copy(update={"strata": Strata(hour_of_week=True, hours=6, time="at")})
BY_TOWN = CARD.model_copy(update={"strata": Strata(feature="town")})
MONDAY = datetime(2026, 11, 23, tzinfo=UTC)
HOUR_S = 3600


def table(rows: int, seed: int = 0) -> dict[str, NDArray[Any]]:
    """Reference columns over two weeks from a Monday on."""
    at = MONDAY.timestamp() + np.linspace(0, 14 * 24 * HOUR_S, rows, endpoint=False)
    return {**columns(np.random.default_rng(seed), rows), "at": at}


def built(card: Card, rows: dict[str, NDArray[Any]]) -> ReferenceProfile:
    """The profile of rows."""
    return build_profile(card, SIGNATURE, rows, model)


@pytest.mark.parametrize(
    ("when", "hours", "stratum"),
    [
        (datetime(1970, 1, 1, tzinfo=UTC), 1, 72),
        (datetime(2026, 11, 23, 0, 0, tzinfo=UTC), 1, 0),
        (datetime(2026, 11, 29, 23, 59, tzinfo=UTC), 1, 167),
        (datetime(2026, 11, 28, 18, 25, tzinfo=UTC), 6, 5 * 4 + 3),
        (datetime(2026, 11, 25, 12, 0, tzinfo=UTC), 24, 2),
    ],
)
def test_a_week_begins_on_monday_in_utc(when: datetime, hours: int, stratum: int) -> None:
    """Known days, and the two ends of a week."""
    assert hours_of_week(np.array([when.timestamp() // 60], np.int64), hours).tolist() == [stratum]


def test_a_time_that_is_not_known_has_no_hour() -> None:
    """It is not taken for the last minute of 1969."""
    assert hours_of_week(np.array([UNKNOWN]), 1).tolist() == [UNKNOWN]


@pytest.mark.parametrize(
    "values",
    [
        np.array([86_400.0, np.nan, 90.0]),
        np.array(["1970-01-02T00:00:00Z", "", "1970-01-01 00:01:30"], dtype=np.object_),
        np.array(["1970-01-02T02:00:00+02:00", None, "1970-01-01T00:01"], dtype=np.object_),
        np.array([86_400, None, 119], dtype=np.object_),
    ],
    ids=["seconds", "texts", "zones", "whole numbers, one of which is missing"],
)
def test_times_are_seconds_or_texts(values: NDArray[Any], monkeypatch: pytest.MonkeyPatch) -> None:
    """In UTC unless they say otherwise, wherever the machine is; missing ones are unknown."""
    with monkeypatch.context() as elsewhere:
        elsewhere.setenv("TZ", "America/New_York")
        time.tzset()
        found = minutes_of("at", values).tolist()
    time.tzset()
    assert found == [1440, UNKNOWN, 1]


@pytest.mark.parametrize(
    ("values", "said"),
    [
        (np.array(["yesterday"], dtype=np.object_), "seconds since 1970 or texts"),
        (np.array([True]), "seconds since 1970 or texts"),
        (np.array([1.7e12]), "divide thousandths by 1,000"),
        (np.array([-5.0]), "no seconds since 1970"),
        (np.array([np.nan]), "no time at all"),
    ],
)
def test_what_is_no_time_is_refused(values: NDArray[Any], said: str) -> None:
    """With the name of the column, and what it must hold."""
    with pytest.raises(Refused, match=said) as caught:
        minutes_of("at", values)
    assert "'at'" in caught.value.message


@pytest.mark.parametrize("policy", [Policy.KEEP, Policy.HASH])
def test_counts_by_hour_add_up_to_those_of_all_rows(policy: Policy) -> None:
    """For every feature, score and decision, and the projections of whole rows."""
    features = (*CARD.features[:2], CARD.features[2].model_copy(update={"policy": policy}))
    whole = built(HOURLY.model_copy(update={"features": features}), table(4000))
    strata = whole.strata
    assert strata is not None
    assert strata.count == 28
    assert set(strata.features) == {"age", "debt", "town"}
    assert whole.whole_rows is not None
    assert set(strata.predictions) == {"score", "decision"}
    pairs = [(whole.features[name], found) for name, found in strata.features.items()]
    pairs += [(whole.predictions[name], found) for name, found in strata.predictions.items()]
    pairs += list(zip(whole.whole_rows.projections, strata.projections, strict=True))
    for known, found in pairs:
        assert np.array(found).shape == (28, len(bin_counts(known)))
        assert tuple(np.sum(found, axis=0).tolist()) == bin_counts(known)
        assert np.sum(found, axis=1).min() > 30


def test_counts_by_hour_are_those_of_the_hour() -> None:
    """A feature that is high in one stratum and low in all others is so in the profile."""
    rows = table(4000)
    night = hours_of_week((rows["at"] // 60).astype(np.int64), 6) % 4 == 0
    rows["age"] = np.where(night, 10.0, -10.0) + rows["age"]
    strata = built(HOURLY, rows).strata
    assert strata is not None
    counts = np.array(strata.features["age"])
    for stratum, of_stratum in enumerate(counts):
        high = of_stratum[18:].sum()
        assert (high > 0) == (stratum % 4 == 0)


def test_rows_of_unknown_time_are_in_no_stratum() -> None:
    """They count among all rows."""
    rows = table(1000)
    rows["at"][::2] = np.nan
    whole = built(HOURLY, rows)
    assert whole.strata is not None
    within = np.sum(whole.strata.features["age"])
    assert 0 < within < 0.6 * sum(bin_counts(whole.features["age"]))


def test_a_segment_is_a_frequent_category_and_the_rest_is_one_stratum() -> None:
    """Rare and missing ones are together; the segment itself is not counted within segments."""
    rows = table(2000)
    rows["town"][:10] = "rare"
    rows["town"][10:30] = None
    whole = built(BY_TOWN, rows)
    strata, town = whole.strata, whole.features["town"]
    assert strata is not None
    assert isinstance(town, CategoricalProfile)
    assert strata.names == ("a", "b", "c")
    assert set(strata.features) == {"age", "debt"}
    of_segment = np.sum(strata.features["age"], axis=1)
    assert of_segment[:3].tolist() == list(town.counts[:3])
    assert of_segment[3] == town.rows - sum(town.counts[:3])


@pytest.mark.parametrize("policy", [Policy.KEEP, Policy.HASH])
def test_live_rows_find_the_segments_of_the_reference(policy: Policy) -> None:
    """By name or by hash, which is all that the profile tells then."""
    features = (*CARD.features[:2], CARD.features[2].model_copy(update={"policy": policy}))
    card = BY_TOWN.model_copy(update={"features": features})
    whole = built(card, table(2000))
    assert whole.strata is not None
    assert (policy is Policy.HASH) == ("a" not in whole.strata.names)
    rows = columns(np.random.default_rng(1), 6)
    rows["town"][:] = ["a", "b", "c", None, "new", "a"]
    found = stratifier(card, whole)
    assert found is not None
    assert found.of(block(rows)).tolist() == [0, 1, 2, 3, 3, 0]


def test_live_rows_have_the_hour_of_their_block() -> None:
    """All rows of a block were made within a moment."""
    found = stratifier(HOURLY, built(HOURLY, table(500)))
    assert found is not None
    rows = block(columns(np.random.default_rng(1), 3))
    late = replace(rows, made_at=MONDAY.timestamp() + 31 * HOUR_S)
    assert found.of(late).tolist() == [5, 5, 5]


def test_a_reference_without_times_has_strata_without_counts() -> None:
    """Hours need no column, and then begin with what is live."""
    card = CARD.model_copy(update={"strata": Strata(hour_of_week=True)})
    whole = built(card, columns(np.random.default_rng(0), 500))
    found = stratifier(card, whole)
    assert found is not None
    assert whole.strata is not None
    assert whole.strata.features == {}
    counts = found.counts("age", whole.features["age"])
    assert counts.shape == (168, len(bin_counts(whole.features["age"])))
    assert not counts.any()


def test_what_is_learned_from_live_rows_has_their_hours_and_segments() -> None:
    """The same as from a file that says when its rows were."""
    rows = table(600)
    rows["at"][:] = MONDAY.timestamp() + 31 * HOUR_S
    for name in ("age", "debt"):
        rows[name] = rows[name].astype(np.float32)
    for card in (HOURLY, BY_TOWN):
        learner = Learner(card, 600)
        learner.update(replace(block(rows), made_at=float(rows["at"][0])))
        assert learner.profile() == built(card, rows).model_copy(update={"source": "learned"})


def test_a_profile_with_strata_survives_the_trip() -> None:
    """Read from its bytes it is equal; one without strata has the bytes that it always had."""
    for card in (HOURLY, BY_TOWN):
        whole = built(card, table(1000))
        assert ReferenceProfile.from_json(whole.to_json()) == whole
    plain = built(CARD, table(1000)).to_json()
    assert b"strata" not in plain
    assert ReferenceProfile.from_json(plain).strata is None


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("features", {"age": [[1]]}),
        ("features", {"nobody": [[]] * 28}),
        ("features", {"age": [[1]] * 28}),
        ("predictions", {"score": [[1]] * 28}),
        ("predictions", {"score[0]": [[]] * 28}),
        ("projections", [[[1]] * 28]),
        ("hours", 5),
    ],
)
def test_counts_by_stratum_that_do_not_fit_are_refused(key: str, value: object) -> None:
    """A stratum too few, a feature that is not there, other bins, a week that does not divide."""
    content = json.loads(built(HOURLY, table(500)).to_json())
    content["strata"][key] = value
    with pytest.raises(Refused, match="strat"):
        ReferenceProfile.from_json(json.dumps(content).encode())


def test_a_feature_of_many_values_names_no_segments() -> None:
    """Most rows would be among all others, and nothing be gained."""
    rows = table(4000)
    rows["town"] = np.array([f"t{number}" for number in range(4000)], dtype=np.object_)
    with pytest.raises(Refused, match="name a feature with fewer values"):
        built(BY_TOWN, rows)


def test_a_profile_of_other_strata_is_refused() -> None:
    """Whoever has a reference that was made without them is told to register it again."""
    plain, hourly = built(CARD, table(500)), built(HOURLY, table(500))
    daily = HOURLY.model_copy(update={"strata": Strata(hour_of_week=True, hours=24, time="at")})
    for card, profile in ((HOURLY, plain), (BY_TOWN, hourly), (daily, hourly)):
        with pytest.raises(Refused, match="register the version again"):
            stratifier(card, profile)
    assert stratifier(CARD, hourly) is None
    assert stratifier(HOURLY, None) is None


def test_the_time_is_read_from_the_reference_file(tmp_path: Path) -> None:
    """A column of the file that is no feature; one that is missing is named."""
    assert columns_needed(HOURLY) == ("age", "debt", "town", "sex", "at")
    path = tmp_path / "reference.csv"
    lines = [f"{n % 7},{n % 5},a,f,2026-11-2{3 + n % 7}T00:00:00Z" for n in range(300)]
    path.write_text("\n".join(["age,debt,town,sex,at", *lines]) + "\n", encoding="utf-8")
    read = sample(path, columns_needed(HOURLY), texts=("town", "sex")).columns
    strata = built(HOURLY, read).strata
    assert strata is not None
    rows = np.sum(strata.features["debt"], axis=1)
    assert rows[::4].min() > 0
    assert rows.sum() == rows[::4].sum()
    path.write_text("\n".join(["age,debt,town,sex,when", *lines]) + "\n", encoding="utf-8")
    with pytest.raises(Refused, match="'at'"):
        sample(path, columns_needed(HOURLY))
