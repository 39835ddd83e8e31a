"""What goes in and out of the control API about API keys; a token goes out once."""

from __future__ import annotations

from typing import Annotated

from pydantic import AwareDatetime, Field

from registry.keys import AccessRole, ApiKey, Token
from serve.control.schemas import Body, OneLine, View


class CreateKeyBody(Body):
    """A key to make; without a rate it may ask as often as it likes, without an end for ever."""

    name: Annotated[str, Field(max_length=64, examples=["ci-deploys"])]
    role: AccessRole
    rate_per_s: Annotated[float, Field(gt=0.0, allow_inf_nan=False)] | None = None
    expires_at: AwareDatetime | None = None


class RevokeKeyBody(Body):
    """Why a key ends."""

    reason: OneLine = ""


class KeyView(View):
    """One API key, without anything that could be shown in its place."""

    id: str
    name: str
    role: AccessRole
    rate_per_s: float | None
    created_by: str
    created_at: str
    expires_at: str | None
    revoked_at: str | None

    @classmethod
    def of(cls, key: ApiKey) -> KeyView:
        """The view of a recorded key. The digest stays inside: nobody needs it."""
        return cls(**{name: getattr(key, name) for name in cls.model_fields})


class CreatedKeyView(View):
    """A new key with its token, which is given this once."""

    key: KeyView
    token: Annotated[str, Field(repr=False)]

    @classmethod
    def of(cls, key: ApiKey, token: Token) -> CreatedKeyView:
        """The view of what was made."""
        return cls(key=KeyView.of(key), token=token.text())


class KeysView(View):
    """All API keys, oldest first, also those that were revoked or have expired."""

    keys: tuple[KeyView, ...]
