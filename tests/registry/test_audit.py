"""The chain shows every edit, removal, insertion and swap, and says where it begins."""

from __future__ import annotations

import hashlib
import json
from dataclasses import fields, replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from registry.audit import GENESIS, canonical, hash_of, next_entry, verify_chain
from registry.records import AuditEntry
from registry.routing import Change

WHY = Change(actor="ada", at="2026-01-01T00:00:00.000000+00:00", reason="because")


def _log(length: int) -> list[AuditEntry]:
    entries: list[AuditEntry] = []
    for number in range(length):
        last = entries[-1] if entries else None
        states = (None, {"n": number})
        entries.append(next_entry(last, "set-route", f"models/m{number}/route", states, WHY))
    return entries


def test_an_untouched_log_is_whole() -> None:
    """A log of any length as it was written verifies, the empty one too."""
    assert [verify_chain(_log(length)) for length in (0, 1, 7)] == [None, None, None]


def test_a_hash_can_be_computed_by_anybody() -> None:
    """The hash is SHA-256 over sorted, compact JSON of all other fields."""
    entry = _log(1)[0]
    text = (
        '{"action":"set-route","actor":"ada","after":"{\\"n\\":0}","at":"'
        f'{WHY.at}","before":"","previous_hash":"{GENESIS}","reason":"because",'
        '"resource":"models/m0/route","sequence":1}'
    )
    assert entry.hash == hashlib.sha256(text.encode()).hexdigest()


@given(st.dictionaries(st.text(), st.integers() | st.none() | st.text()))
def test_canonical_json_keeps_values_and_forgets_order(value: dict[str, object]) -> None:
    """Two dictionaries that are equal have one text."""
    assert json.loads(canonical(value)) == value
    assert canonical(value) == canonical(dict(reversed(value.items())))


@pytest.mark.parametrize("name", [field.name for field in fields(AuditEntry)])
@pytest.mark.parametrize("place", [0, 3, 6])
def test_an_edit_of_any_field_is_found_where_it_is(name: str, place: int) -> None:
    """Each field is covered by the hash, and the first wrong entry is named."""
    log = _log(7)
    edit: dict[str, Any] = {name: 99 if name == "sequence" else "x"}
    log[place] = replace(log[place], **edit)
    assert verify_chain(log) == place + 1


@pytest.mark.parametrize("place", [0, 3, 5])
def test_an_edit_with_a_new_hash_is_found_at_the_next_entry(place: int) -> None:
    """Who edits an entry and its hash breaks the chain behind it."""
    log = _log(7)
    edited = replace(log[place], actor="eve")
    log[place] = replace(edited, hash=hash_of(edited))
    assert verify_chain(log) == place + 2


def test_removal_insertion_and_swap_are_found() -> None:
    """Entries cannot be taken out, put in or moved unnoticed."""
    log = _log(7)
    assert verify_chain(log[:2] + log[3:]) == 3
    assert verify_chain(log[1:]) == 1
    assert verify_chain([*log[:3], log[2], *log[3:]]) == 4
    assert verify_chain([*log[:2], log[3], log[2], *log[4:]]) == 3
