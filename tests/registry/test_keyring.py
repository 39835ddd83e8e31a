"""API keys are made once, shown once and revoked once, and the log tells it without secrets."""

from __future__ import annotations

import secrets
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path

import pytest

from configs.errors import BadInput, Conflict, NotFound
from configs.settings import Verify
from registry.key_rules import is_valid
from registry.keys import AccessRole, read_token
from registry.registry import Registry
from tests.registry.test_registry import START, Clock


@pytest.fixture
def clock() -> Clock:
    """Moments one second apart."""
    return Clock()


@pytest.fixture
def registry(tmp_path: Path, clock: Clock) -> Iterator[Registry]:
    """A registry with nothing in it."""
    opened = Registry.open(tmp_path, Verify(), clock, secrets.token_bytes)
    yield opened
    opened.close()


def test_a_key_is_what_was_asked_for(registry: Registry) -> None:
    """Name, role, rate and expiry are kept; the token leads to the key and shows its digest."""
    expires = datetime(2027, 1, 1, 9, tzinfo=timezone(timedelta(hours=9)))
    key, token = registry.create_key("ci", AccessRole.DEPLOYER, 2.5, expires, "ada")
    assert (key.name, key.role, key.rate_per_s, key.created_by) == (
        "ci",
        AccessRole.DEPLOYER,
        2.5,
        "ada",
    )
    assert key.expires_at == "2027-01-01T00:00:00.000000+00:00"
    assert read_token(token.text()) == token
    assert (token.id, token.digest) == (key.id, key.digest)
    assert registry.keys() == (key,)
    assert registry.table().keys == (key,)


def test_no_two_tokens_are_the_same(registry: Registry) -> None:
    """The secret is fresh for every key."""
    tokens = {registry.create_key(f"k{n}", AccessRole.CLIENT, None, None, "ada")[1] for n in "123"}
    assert len({token.secret for token in tokens}) == 3


def test_a_revoked_key_leaves_the_table_and_stays_in_the_list(registry: Registry) -> None:
    """Replicas forget it, people can still see that it was there."""
    kept, _ = registry.create_key("a", AccessRole.CLIENT, None, None, "ada")
    gone, _ = registry.create_key("b", AccessRole.CLIENT, None, None, "ada")
    revoked = registry.revoke_key(gone.id, "bob", "lost")
    assert (revoked.id, revoked.revoked_at) == (gone.id, registry.audit(after=2)[0].at)
    assert registry.keys() == (kept, revoked)
    assert registry.table().keys == (kept,)
    with pytest.raises(Conflict, match=r"\(b\) was revoked at"):
        registry.revoke_key(gone.id, "bob", "again")
    with pytest.raises(NotFound, match="no key 'ffff'"):
        registry.revoke_key("ffff", "bob", "")
    assert len(registry.audit()) == 3


def test_changes_are_in_the_log_without_secrets(registry: Registry, tmp_path: Path) -> None:
    """Who made and ended which key, and why; neither digest nor secret, nor in any repr."""
    key, token = registry.create_key("ci", AccessRole.CLIENT, None, None, "ada")
    registry.revoke_key(key.id, "bob", "lost")
    log = registry.audit()
    assert [(e.action, e.resource, e.actor, e.reason) for e in log] == [
        ("create-key", f"keys/{key.id}", "ada", ""),
        ("revoke-key", f"keys/{key.id}", "bob", "lost"),
    ]
    assert log[0].after == log[1].before
    assert registry.verify_audit() is None
    said = [repr(log), repr(key), str(key), repr(token), str(token), repr(registry.table())]
    for text in said:
        assert key.digest not in text
        assert token.secret not in text
    assert token.secret.encode() not in (tmp_path / "registry.db").read_bytes()


def test_a_name_belongs_to_one_key_until_that_is_revoked(registry: Registry) -> None:
    """A new key may take the name of one that has ended, to replace it."""
    first, _ = registry.create_key("ci", AccessRole.CLIENT, None, None, "ada")
    with pytest.raises(Conflict, match=f"key {first.id} has the name 'ci'"):
        registry.create_key("ci", AccessRole.VIEWER, None, None, "ada")
    registry.revoke_key(first.id, "ada", "")
    second, _ = registry.create_key("ci", AccessRole.VIEWER, None, None, "ada")
    assert registry.table().keys == (second,)


@pytest.mark.parametrize("name", ["", "a b", "-a", "a/b", "é", "a" * 65, "a\n"])
def test_a_name_that_is_not_allowed_is_refused(registry: Registry, name: str) -> None:
    """Names are those that models may have."""
    with pytest.raises(BadInput, match="cannot be the name of a key"):
        registry.create_key(name, AccessRole.CLIENT, None, None, "ada")


@pytest.mark.parametrize("rate", [0.0, -1.0, float("nan"), float("inf")])
def test_a_rate_must_be_above_zero(registry: Registry, rate: float) -> None:
    """A key that may never ask is no key, and no rate is written as None."""
    with pytest.raises(BadInput, match="must be above 0"):
        registry.create_key("ci", AccessRole.CLIENT, rate, None, "ada")


def test_an_expiry_must_be_to_come(registry: Registry) -> None:
    """A key that is over before it begins, or at a time that could be several, is refused."""
    for late in (START, START + timedelta(seconds=2)):
        with pytest.raises(BadInput, match="would never be valid"):
            registry.create_key("ci", AccessRole.CLIENT, None, late, "ada")
    naive = datetime(2030, 1, 1)
    with pytest.raises(BadInput, match="must have a zone"):
        registry.create_key("ci", AccessRole.CLIENT, None, naive, "ada")
    assert registry.audit() == ()


def test_the_last_valid_admin_key_stays(registry: Registry, clock: Clock) -> None:
    """Not even its holder can lock everybody out; keys of other roles and expired ones may go."""
    soon = START + timedelta(minutes=1)
    brief, _ = registry.create_key("brief", AccessRole.ADMIN, None, soon, "ada")
    admin, _ = registry.create_key("root", AccessRole.ADMIN, None, None, "ada")
    other, _ = registry.create_key("ci", AccessRole.DEPLOYER, None, None, "ada")
    registry.revoke_key(other.id, "ada", "")
    clock.now = soon
    with pytest.raises(Conflict, match=r"only valid admin key.* make another admin key first"):
        registry.revoke_key(admin.id, "ada", "")
    registry.revoke_key(brief.id, "ada", "")
    second, _ = registry.create_key("root-2", AccessRole.ADMIN, None, None, "ada")
    registry.revoke_key(admin.id, "ada", "")
    assert registry.table().keys == (second,)


def test_a_key_is_valid_until_it_expires_or_is_revoked(registry: Registry) -> None:
    """The moment of expiry is the first at which it is not."""
    end = START + timedelta(minutes=1)
    key, _ = registry.create_key("ci", AccessRole.CLIENT, None, end, "ada")
    before = (end - timedelta(microseconds=1)).astimezone(UTC)
    assert is_valid(key, before.isoformat(timespec="microseconds"))
    assert key.expires_at is not None
    assert not is_valid(key, key.expires_at)
    assert not is_valid(registry.revoke_key(key.id, "ada", ""), before.isoformat())
