"""A receiver that is reached over HTTP."""

from __future__ import annotations

import asyncio
import logging
import ssl
import time
from pathlib import Path

import httpx

from configs.errors import ConfigError
from serve.webhook.message import Message
from serve.webhook.receiver import Outcome
from serve.webhook.signature import read_secret, signed

_ANSWER_S = 10.0
_NOT_NOW = frozenset({408, 425, 429})
"""What a client is answered that may come back, among what is a client's own fault."""

_log = logging.getLogger("weir.webhook")


class HttpReceiver:
    """Posts JSON to one address, signed if there is a file with a secret.

    The file is read each time, so that the secret can be changed. Redirections are not followed,
    since who answers must be who was named, and no proxy is taken from the environment. The address
    is never written to the log: it may hold a secret.
    """

    def __init__(self, url: str, secret_file: Path | None) -> None:
        self._url = url
        self._secret_file = secret_file
        self._http = httpx.AsyncClient(
            headers={"Content-Type": "application/json", "User-Agent": "weir"},
            follow_redirects=False,
            verify=ssl.create_default_context(),
            trust_env=False,
        )

    async def send(self, message: Message) -> Outcome:
        """Post a message once."""
        try:
            status = await self._post(message)
        except ConfigError as error:
            return _failed(error.message)
        except (httpx.HTTPError, httpx.InvalidURL, TimeoutError) as error:
            return _failed(type(error).__name__)
        if httpx.codes.is_success(status):
            return Outcome.DELIVERED
        if httpx.codes.is_client_error(status) and status not in _NOT_NOW:
            _log.warning("the webhook does not want %s: HTTP %d", message.id, status)
            return Outcome.REFUSED
        return _failed(f"HTTP {status}")

    async def close(self) -> None:
        """End the connections."""
        await self._http.aclose()

    async def _post(self, message: Message) -> int:
        headers: dict[str, str] = {}
        if self._secret_file is not None:
            secret = await asyncio.to_thread(read_secret, self._secret_file)
            headers = signed(message, secret, int(time.time()))
        async with asyncio.timeout(_ANSWER_S):
            posting = self._http.stream("POST", self._url, content=message.body, headers=headers)
            # What it says besides is not read: it may be of any length.
            async with posting as answer:
                return answer.status_code


def _failed(why: str) -> Outcome:
    _log.warning("a webhook could not be delivered, and is tried again: %s", why)
    return Outcome.FAILED
