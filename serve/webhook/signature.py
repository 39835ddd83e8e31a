"""Signs what is sent, so that its receiver can tell who sent it and when.

Source: Standard Webhooks 1.0.0 (symmetric signatures): HMAC-SHA256 over id, time and body.
"""

from __future__ import annotations

import base64
import binascii
from datetime import UTC, datetime
from pathlib import Path

from standardwebhooks import Webhook

from configs.errors import ConfigError
from serve.webhook.message import Message

_PREFIX = "whsec_"
_SECRET_BYTES = range(24, 65)


def read_secret(file: Path) -> bytes:
    """The secret in a file; `ConfigError`, without a word of it, if there is none."""
    try:
        text = file.read_text(encoding="ascii").strip()
        secret = base64.b64decode(text.removeprefix(_PREFIX), validate=True)
    except OSError as error:
        raise ConfigError(f"the secret in {file} cannot be read: {error.strerror}") from None
    except (UnicodeDecodeError, binascii.Error):
        secret = b""
    if len(secret) not in _SECRET_BYTES:
        raise ConfigError(
            f"{file} holds no secret: it must be {_PREFIX} and 24 to 64 random bytes in base64"
        )
    return secret


def signed(message: Message, secret: bytes, at: int) -> dict[str, str]:
    """The headers that sign a message which is sent at a time in whole seconds since 1970."""
    moment = datetime.fromtimestamp(at, UTC)
    return {
        "webhook-id": message.id,
        "webhook-timestamp": str(at),
        "webhook-signature": Webhook(secret).sign(message.id, moment, message.body.decode()),
    }
