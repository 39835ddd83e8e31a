"""Callers are known by their keys."""

from __future__ import annotations

from datetime import timedelta

import pytest

from configs.errors import Unauthenticated
from registry.keys import AccessRole, Token
from serve.access.keyring import KeyRing, has_admin
from serve.access.principal import Principal
from tests.serve.access.keys import NOON, NOON_S, bearer, key_of, token

BEFORE = (NOON - timedelta(seconds=1)).isoformat()
AFTER = (NOON + timedelta(seconds=1)).isoformat()
GOOD = token(1)
STRANGER = token(2)


def test_a_key_says_who_calls() -> None:
    """The name, the role and the id of the key, however the scheme is written."""
    ring = KeyRing([key_of(STRANGER), key_of(GOOD, AccessRole.DEPLOYER)])

    for scheme in (b"Bearer ", b"bearer ", b"BEARER "):
        found = ring.identify(scheme + GOOD.text().encode(), NOON_S)

        assert found == Principal("a-deployer", AccessRole.DEPLOYER, GOOD.id)


@pytest.mark.parametrize(
    "shown",
    [
        pytest.param(None, id="nothing"),
        pytest.param(b"", id="empty"),
        pytest.param(b"Bearer", id="scheme alone"),
        pytest.param(b"Bearer weir_00000001_00", id="short"),
        pytest.param(GOOD.text().encode(), id="no scheme"),
        pytest.param(b"Basic " + GOOD.text().encode(), id="other scheme"),
        pytest.param(bearer(GOOD) + b" ", id="space after"),
        pytest.param(bearer(GOOD) + b", " + bearer(GOOD), id="twice"),
        pytest.param(bearer(GOOD).replace(b"weir_", b"WEIR_"), id="upper case"),
        pytest.param(b"Bearer \xff\xfe\x00", id="bytes"),
        pytest.param(bearer(STRANGER), id="unknown"),
        pytest.param(bearer(Token(GOOD.id, STRANGER.secret)), id="wrong secret"),
        pytest.param(bearer(Token("ffffffff", GOOD.secret)), id="wrong id"),
        pytest.param(bearer(token(3)), id="expired"),
        pytest.param(bearer(token(4)), id="revoked"),
        pytest.param(bearer(token(5)), id="revoked before it expires"),
    ],
)
def test_what_is_no_valid_key_gets_one_and_the_same_sentence(shown: bytes | None) -> None:
    """Nobody learns from the answer what is wrong with a key, or that there is one of that id."""
    ring = KeyRing(
        [
            key_of(GOOD),
            key_of(token(3), expires_at=BEFORE),
            key_of(token(4), revoked_at=BEFORE),
            key_of(token(5), expires_at=AFTER, revoked_at=BEFORE),
        ]
    )

    with pytest.raises(Unauthenticated) as refused:
        ring.identify(shown, NOON_S)

    assert refused.value.message == (
        "this needs a valid API key, sent as `Authorization: Bearer weir_...`"
    )


def test_an_unknown_id_costs_the_same_comparison(monkeypatch: pytest.MonkeyPatch) -> None:
    """Time does not tell which ids exist: digests of one length are compared either way."""
    compared: list[tuple[int, int]] = []

    def compare(one: str, other: str) -> bool:
        compared.append((len(one), len(other)))
        return one == other

    monkeypatch.setattr("serve.access.keyring.compare_digest", compare)
    ring = KeyRing([key_of(GOOD), key_of(token(3), expires_at=BEFORE)])

    for shown in (STRANGER, Token(GOOD.id, STRANGER.secret), token(3)):
        with pytest.raises(Unauthenticated):
            ring.identify(bearer(shown), NOON_S)

    assert compared == [(64, 64)] * 3


def test_a_key_ends_at_its_moment() -> None:
    """It is valid up to the moment it expires, and not at it."""
    ring = KeyRing([key_of(GOOD, expires_at=NOON.isoformat())])

    assert ring.identify(bearer(GOOD), NOON_S - 0.001).key_id == GOOD.id
    with pytest.raises(Unauthenticated):
        ring.identify(bearer(GOOD), NOON_S)


def test_only_a_valid_key_makes_an_administrator() -> None:
    """Neither another role nor an admin key that has ended counts."""
    ended = key_of(token(3), AccessRole.ADMIN, expires_at=BEFORE)
    other = key_of(token(4), AccessRole.DEPLOYER)

    assert not has_admin([ended, other], NOON_S)
    assert has_admin([ended, key_of(GOOD, AccessRole.ADMIN, expires_at=AFTER)], NOON_S)


def test_the_ring_keeps_no_secret() -> None:
    """What the ring holds shows neither a secret nor a token."""
    ring = KeyRing([key_of(GOOD)])
    ring.identify(bearer(GOOD), NOON_S)

    assert GOOD.secret not in repr(vars(ring))
