"""A slice that changed is found, and where nothing changed none is told."""

from __future__ import annotations

import numpy as np
import pytest

from monitors.profile.reference import ReferenceProfile
from monitors.why.answer import Slice, Slices
from monitors.why.slices import worst_slices
from tests.monitors.why.rows import CARD, Tensors, inputs, kept, linear, reference

FLAT = linear(1.0, 0.0, 0.0)


@pytest.fixture(name="profile", scope="module")
def profile_of_rows() -> ReferenceProfile:
    """A reference of rows that have not moved."""
    return reference(np.random.default_rng(1))


def found_in(
    profile: ReferenceProfile, before: Tensors, since: Tensors, bonus: float = 0.0
) -> Slices:
    """The slices; since the change, towns `r` whose `b` is large get a bonus."""
    first, second = kept(before, FLAT), kept(since, FLAT)
    there = (since["town"].reshape(-1) == "r") & (since["x"][:, 1] > 0.84)
    second.score[there] += bonus
    return worst_slices(profile, CARD.features, first, second)


def test_nothing_is_told_where_nothing_changed(profile: ReferenceProfile) -> None:
    """In 95 of 100 pairs of samples at least, over some hundred slices each."""
    told = 0
    for seed in range(100):
        rng = np.random.default_rng(seed)
        slices = found_in(profile, inputs(rng, 500), inputs(rng, 500))
        told += bool(slices.found)
        assert slices.looked_at > 80
    assert told <= 5


def test_a_slice_that_grew_is_told_first(profile: ReferenceProfile) -> None:
    """One town that is three times as frequent, with its shares."""
    rng = np.random.default_rng(2)
    slices = found_in(profile, inputs(rng, 500), inputs(rng, 500, towns=(0.4, 0.3, 0.3)))
    first = slices.found[0]
    assert first.where == (("town", "r"),)
    assert first.share_before == pytest.approx(0.1, abs=0.04)
    assert first.share_since == pytest.approx(0.3, abs=0.06)
    assert first.p_value < 1e-6


def test_a_pair_is_told_where_neither_of_its_halves_says_it_as_well(
    profile: ReferenceProfile,
) -> None:
    """Rows move into one cell of town and `b`, and out of the cells beside it."""
    rng = np.random.default_rng(3)
    since = inputs(rng, 500)
    town, b = since["town"].reshape(-1), since["x"][:, 1]
    gone = np.flatnonzero((town == "p") & (b > 0.84))
    b[gone] = rng.uniform(-0.8, 0.8, len(gone))
    slices = found_in(profile, inputs(rng, 500), since)
    assert set(dict(slices.found[0].where)) == {"town", "b"}
    assert dict(slices.found[0].where)["town"] == "p"


def test_a_slice_whose_scores_changed_is_told(profile: ReferenceProfile) -> None:
    """The share is as before; the mean score is not."""
    rng = np.random.default_rng(4)
    even = (0.3, 0.3, 0.4)
    slices = found_in(
        profile, inputs(rng, 500, towns=even), inputs(rng, 500, towns=even), bonus=5.0
    )
    first = slices.found[0]
    assert dict(first.where).keys() == {"town", "b"}
    assert first.score_before == pytest.approx(0.0, abs=0.5)
    assert first.score_since == pytest.approx(5.0, abs=1.0)


def test_slices_of_the_same_rows_are_told_once(profile: ReferenceProfile) -> None:
    """Of two features that say the same, one is enough."""
    rng = np.random.default_rng(5)
    before, since = inputs(rng, 500), inputs(rng, 500, (2.0, 0, 0))
    for each in (before, since):
        each["x"][:, 1] = each["x"][:, 0]
    same = {**profile.features, "b": profile.features["a"]}
    twice = profile.model_copy(update={"features": same})
    names = [dict(each.where).keys() for each in found_in(twice, before, since).found]
    assert {"a"} in names
    assert {"b"} not in names


def test_numbers_of_few_people_are_not_told(profile: ReferenceProfile) -> None:
    """A town that three rows had before: neither their share nor their score."""
    rng = np.random.default_rng(6)
    before = inputs(rng, 500, towns=(0.65, 0.35, 0.0))
    before["town"][:3] = "r"
    first = found_in(profile, before, inputs(rng, 500, towns=(0.3, 0.3, 0.4))).found[0]
    assert first.where == (("town", "r"),)
    assert (first.share_before, first.score_before) == (None, None)
    assert first.share_since is not None
    assert not any(_few(each) for each in found_in(profile, before, before).found)


def _few(told: Slice) -> bool:
    return told.share_before is not None and 0 < told.share_before * 500 < 10


def test_a_name_that_few_rows_have_is_no_slice(profile: ReferenceProfile) -> None:
    """What the reference does not know is told as unseen, whatever it is called."""
    rng = np.random.default_rng(7)
    since = inputs(rng, 500)
    since["town"][:200] = "Erika Mustermann"
    slices = found_in(profile, inputs(rng, 500), since)
    assert slices.found[0].where == (("town", "(unseen)"),)
    assert "Erika" not in str(slices)
