"""Profiles survive the trip to bytes and back, and nothing else is taken for one."""

import json

import numpy as np
import pytest

from configs.errors import Refused
from monitors.profile.reference import ReferenceProfile
from tests.monitors.samples import profile


def test_bytes_and_back() -> None:
    """A profile read from its bytes is equal, and has the same bytes."""
    original = profile(np.random.default_rng(0))
    data = original.to_json()
    again = ReferenceProfile.from_json(data)
    assert again == original
    assert again.to_json() == data


def test_the_same_rows_give_the_same_bytes() -> None:
    """Building twice gives one digest."""
    first, second = (profile(np.random.default_rng(0)).to_json() for _ in range(2))
    assert first == second


@pytest.mark.parametrize("data", [b"", b"[]", b"{}", b"\xff", b'{"format":2}'])
def test_what_is_no_profile_is_refused(data: bytes) -> None:
    """Broken JSON and foreign documents."""
    with pytest.raises(Refused, match="not a reference profile"):
        ReferenceProfile.from_json(data)


def test_unknown_keys_and_wrong_counts_are_refused() -> None:
    """A key too many, edges that fall, and a bin too few."""
    good = json.loads(profile(np.random.default_rng(0)).to_json())
    with pytest.raises(Refused, match="surprise"):
        ReferenceProfile.from_json(json.dumps({**good, "surprise": 1}).encode())
    for key, value in (("edges", [2.0, 1.0]), ("counts", [1])):
        bad = json.loads(json.dumps(good))
        bad["features"]["age"][key] = value
        with pytest.raises(Refused, match=r"features\.age"):
            ReferenceProfile.from_json(json.dumps(bad).encode())


def test_a_profile_of_old_can_be_read() -> None:
    """Of before decisions and columns of a score were described; such a one has the same bytes."""
    whole = profile(np.random.default_rng(0))
    content = json.loads(whole.to_json())
    assert "score_vector" not in content
    del content["decision"]
    old = ReferenceProfile.from_json(json.dumps(content).encode())
    assert old == whole.model_copy(update={"decision": None})
    assert json.loads(old.to_json()) == content


@pytest.mark.parametrize(
    ("columns", "reason"),
    [([0, 0], "columns must differ"), ([0], "one profile each"), ([0, 2], "no column 2, only 2")],
)
def test_columns_of_a_score_that_do_not_fit_are_refused(columns: list[int], reason: str) -> None:
    """Each has its number, below the width, and its profile."""
    content = json.loads(profile(np.random.default_rng(0)).to_json())
    vector = {"width": 2, "columns": columns, "profiles": [content["score"], content["score"]]}
    with pytest.raises(Refused, match=reason):
        ReferenceProfile.from_json(json.dumps({**content, "score_vector": vector}).encode())
